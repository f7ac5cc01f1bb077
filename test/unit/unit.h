/*
 * unit.h
 *		The unit tests' whole framework: CHECK a condition, print TAP.
 *
 * A test is one program: it calls CHECK or CHECK_NAMED as often as it likes and
 * ends with "return unit_finish();", which prints the plan and is non-zero when
 * any check failed.  Only one file of a program includes this one.
 */
#ifndef FS_TEST_UNIT_H
#define FS_TEST_UNIT_H

#include <stdbool.h>
#include <stdio.h>

static int	unit_checks = 0;
static int	unit_failures = 0;

/*
 * Counts one check and prints its TAP line, for which the name's control
 * characters and '#' become '?'; returns 'passed'.
 */
static inline bool
unit_check(bool passed, const char *name, const char *file, int line)
{
	unit_checks++;
	if (!passed)
		unit_failures++;
	printf("%s %d - ", passed ? "ok" : "not ok", unit_checks);
	for (const char *c = name; *c != '\0'; c++)
		putchar((unsigned char) *c < 0x20 || *c == '#' ? '?' : *c);
	putchar('\n');
	if (!passed)
	{
		printf("# failed at %s:%d\n", file, line);
		fflush(stdout);
	}
	return passed;
}

/* Prints the TAP plan; the exit status of the test. */
static inline int
unit_finish(void)
{
	printf("1..%d\n", unit_checks);
	return unit_failures > 0 ? 1 : 0;
}

/* Is 'cond' true?  The condition's text names the check. */
#define CHECK(cond) unit_check((cond), #cond, __FILE__, __LINE__)

/* The same, named by a string: for rows of a table. */
#define CHECK_NAMED(cond, name) unit_check((cond), (name), __FILE__, __LINE__)

#endif							/* FS_TEST_UNIT_H */
