/*
 * window.h
 *		Spans of time as users write them: intervals, window suffixes, multiples.
 *
 * Inside the engine every span is a number of microseconds.  Intervals with
 * months have none and are refused.
 */
#ifndef FS_CATALOG_WINDOW_H
#define FS_CATALOG_WINDOW_H

#include "postgres.h"

#include "datatype/timestamp.h"

#include "catalog/feature_view_def.h"

/* The longest span anything can have: a hundred years. */
#define FS_MAX_SPAN (INT64CONST(36525) * USECS_PER_DAY)

/*
 * The span in microseconds.  'what' names it in messages ("slide", "option
 * \"slice\"").  Throws for months, for what is beyond FS_MAX_SPAN and for
 * what is below 'least' (0 or 1).
 */
extern int64 fs_interval_to_usec(const Interval *interval, const char *what, int64 least);

/* The same from text. */
extern int64 fs_span_parse(const char *text, const char *what, int64 least);

/*
 * The suffix of a window's columns, palloc'd: the largest of d, h, m, s, ms, us
 * that divides it ("30m", "1h", "90s").  Different spans have different ones.
 */
extern char *fs_window_suffix(int64 span);

/*
 * Sorts the view's windows and names their suffixes.  Throws unless there are 1
 * to FS_MAX_WINDOWS different ones, each a multiple of the view's slide, and
 * that is a multiple of the stream's slice.
 */
extern void fs_window_finish(FsViewDef *view, const FsStreamDef *stream);

#endif							/* FS_CATALOG_WINDOW_H */
