/*
 * window.c
 *		Spans of time as users write them: intervals, window suffixes, multiples.
 *
 * Everything here is arithmetic on what was given; it keeps no state and may be
 * called from anywhere that may throw.
 */
#include "postgres.h"

#include "common/int.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "catalog/window.h"

/* Units of suffixes, largest first. */
static const struct
{
	int64		span;
	const char *name;
}			suffix_units[] =
{
	{USECS_PER_DAY, "d"},
	{USECS_PER_HOUR, "h"},
	{USECS_PER_MINUTE, "m"},
	{USECS_PER_SEC, "s"},
	{1000, "ms"},
	{1, "us"},
};

/* See window.h. */
int64
fs_interval_to_usec(const Interval *interval, const char *what, int64 least)
{
	int64		span;

	if (interval->month != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s must not have months or years", what),
				 errdetail("Months differ in length."),
				 errhint("Write it in days, for example \"30 days\".")));
	if (pg_mul_s64_overflow(interval->day, USECS_PER_DAY, &span) ||
		pg_add_s64_overflow(span, interval->time, &span) ||
		span > FS_MAX_SPAN)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s is too long", what),
				 errdetail("It can be 36525 days at most.")));
	if (span < least)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 least > 0 ?
				 errmsg("%s must be greater than zero", what) :
				 errmsg("%s must not be negative", what)));
	return span;
}

/* Tells which span the text was for when interval's input function throws. */
static void
span_error_context(void *arg)
{
	errcontext("%s", (const char *) arg);
}

/* See window.h. */
int64
fs_span_parse(const char *text, const char *what, int64 least)
{
	ErrorContextCallback context;
	Interval   *interval;

	context.callback = span_error_context;
	context.arg = unconstify(char *, what);
	context.previous = error_context_stack;
	error_context_stack = &context;
	interval = DatumGetIntervalP(DirectFunctionCall3(interval_in,
													 CStringGetDatum(text),
													 ObjectIdGetDatum(InvalidOid),
													 Int32GetDatum(-1)));
	error_context_stack = context.previous;
	return fs_interval_to_usec(interval, what, least);
}

/* See window.h. */
char *
fs_window_suffix(int64 span)
{
	int			i = 0;

	Assert(span > 0);
	while (span % suffix_units[i].span != 0)
		i++;
	Assert(i < lengthof(suffix_units));
	return psprintf(INT64_FORMAT "%s", span / suffix_units[i].span,
					suffix_units[i].name);
}

static int
compare_spans(const void *a, const void *b)
{
	int64		x = *(const int64 *) a;
	int64		y = *(const int64 *) b;

	return (x > y) - (x < y);
}

/* Throws unless 'span' is a multiple of 'unit'. */
static void
check_multiple(const char *what, int64 span, const char *unit_what, int64 unit,
			   const char *hint)
{
	Assert(unit > 0);
	if (span > 0 && span % unit == 0)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("%s must be a multiple of the %s", what, unit_what),
			 errdetail("The %s is %s, the %s is %s.", what,
					   fs_window_suffix(Max(span, 1)), unit_what,
					   fs_window_suffix(unit)),
			 errhint("%s", hint)));
}

/* Throws unless there may be so many windows. */
static void
check_count(int nwindows)
{
	if (nwindows < 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a feature view needs at least one window"),
				 errhint("For example windows => '{30 min}'.")));
	if (nwindows > FS_MAX_WINDOWS)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("a feature view cannot have more than %d windows",
						FS_MAX_WINDOWS),
				 errhint("Create another feature view over the same stream for the others.")));
}

/* See window.h. */
void
fs_window_finish(FsViewDef *view, const FsStreamDef *stream)
{
	Assert(view->stream == stream->relid);
	check_count(view->nwindows);
	check_multiple("slide", view->slide, "slice", stream->slice,
				   "Choose another slide, or a smaller slice for the stream.");
	qsort(view->windows, view->nwindows, sizeof(int64), compare_spans);
	view->suffixes = palloc(view->nwindows * sizeof(char *));
	for (int i = 0; i < view->nwindows; i++)
	{
		check_multiple("window", view->windows[i], "slide", view->slide,
					   "Choose another window length, or a smaller slide.");
		view->suffixes[i] = fs_window_suffix(view->windows[i]);
		if (i > 0 && view->windows[i] == view->windows[i - 1])
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("window %s is given twice", view->suffixes[i])));
	}
}
