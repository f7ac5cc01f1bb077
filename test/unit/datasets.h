/*
 * datasets.h
 *		A hundred seeded data sets for the sketches, and bytes that were damaged.
 *
 * Ten shapes (even, skewed, signed, repeated, far-flung), each in ten sizes from
 * one value to 200,000.  The same ones in every run.  Only one file of a program
 * includes this one.
 */
#ifndef FS_TEST_DATASETS_H
#define FS_TEST_DATASETS_H

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/sketch.h"
#include "draw.h"

#define DATASETS 100

typedef struct Dataset
{
	const char *shape;
	uint32_t	n;
	double	   *values;
} Dataset;

/* Evenly from 0 (never) to 1. */
static double
draw_even(void)
{
	return ((double) (draw() >> 11) + 0.5) / 9007199254740992.0;
}

static double
draw_normal(void)
{
	return sqrt(-2 * log(draw_even())) * cos(2 * M_PI * draw_even());
}

static double
draw_value(int shape, uint32_t i)
{
	switch (shape)
	{
		case 0:
			return draw_even() * 1e6;
		case 1:					/* Zipf: P(value >= n) = 1 / n^0.7 */
			return floor(pow(draw_even(), -1 / 0.7));
		case 2:					/* 1 / n^1.5 */
			return floor(pow(draw_even(), -1 / 1.5));
		case 3:
			return exp(2 * draw_normal() + 3);
		case 4:
			return -exp(3 * draw_normal());
		case 5:
			return draw() % 5 == 0 ? 0 : draw_normal() * 100;
		case 6:					/* few values, often */
			return (double) (draw() % 40) - 20;
		case 7:
			return -17.25;
		case 8:
			return (double) i;
		default:				/* 1e-9 to 1e8, either sign */
			return (draw() % 2 ? 1 : -1) * pow(10, draw_even() * 17 - 9);
	}
}

/* Makes data set 'number' (0..DATASETS - 1); the caller frees its values. */
static Dataset
make_dataset(int number)
{
	static const char *const shapes[] = {"uniform", "zipf 1.7", "zipf 2.5", "lognormal", "negative",
	"normal and zeros", "forty values", "one value", "ascending", "17 magnitudes"};
	static const uint32_t sizes[] = {1, 2, 10, 100, 600, 1500, 5000, 20000, 70000, 200000};
	Dataset		data = {shapes[number % 10], sizes[number / 10], NULL};

	draw_seed = (uint64_t) number * 1000003 + 17;
	data.values = malloc(data.n * sizeof(double));
	for (uint32_t i = 0; i < data.n; i++)
		data.values[i] = draw_value(number % 10, i);
	return data;
}

static int
compare_doubles(const void *a, const void *b)
{
	double		x = *(const double *) a;
	double		y = *(const double *) b;

	return (x > y) - (x < y);
}

/* A sorted copy; the caller frees it. */
static double *
sort_values(const Dataset *data)
{
	double	   *sorted = malloc(data->n * sizeof(double));

	memcpy(sorted, data->values, data->n * sizeof(double));
	qsort(sorted, data->n, sizeof(double), compare_doubles);
	return sorted;
}

/* A copy of exactly 'len' bytes, so that a read beyond them is noticed; some of them damaged. */
static char *
damage(const char *bytes, size_t *len)
{
	char	   *copy;
	int			hits = (int) (draw() % 4);

	if (draw() % 4 == 0)
		*len = draw() % (*len + 1);
	copy = malloc(*len > 0 ? *len : 1);
	memcpy(copy, bytes, *len);
	while (hits-- > 0 && *len > 0)
		copy[draw() % (draw() % 2 && *len > 8 ? 8 : *len)] = (char) draw();
	return copy;
}

/* An allocator that has memory a given number of times. */
static int	pieces_left;

static void *
resize_while_left(void *context, void *piece, size_t size)
{
	if (size > 0 && pieces_left-- <= 0)
		return NULL;
	return fs_sketch_malloc.resize(context, piece, size);
}

static const FsAllocator scarce = {resize_while_left, NULL};

#endif							/* FS_TEST_DATASETS_H */
