/*
 * draw.h
 *		Random numbers for tests: the same ones for the same seed everywhere.
 *
 * Only one file of a program includes this one.
 */
#ifndef FS_TEST_DRAW_H
#define FS_TEST_DRAW_H

#include <stdint.h>

static uint64_t draw_seed = 1;

/* 64 random bits: splitmix64 (Steele et al. 2014). */
static inline uint64_t
draw(void)
{
	uint64_t	z = draw_seed += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

/* From 0 to n - 1. */
static inline int
draw_below(int n)
{
	return (int) (draw() % (uint64_t) n);
}

#endif							/* FS_TEST_DRAW_H */
