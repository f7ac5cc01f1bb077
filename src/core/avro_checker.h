/*
 * avro_checker.h
 *		What the files that compare Avro schemas share.
 *
 * For avro_judge.c and avro_conflict.c only.
 */
#ifndef FS_CORE_AVRO_CHECKER_H
#define FS_CORE_AVRO_CHECKER_H

#include "core/avro_compat.h"
#include "core/buffer.h"

#define FS_AVRO_NO_FIELD	(-1)
#define FS_AVRO_AMBIGUOUS	(-2)

typedef enum FsAvroPairState
{
	FS_AVRO_PAIR_NEW,
	FS_AVRO_PAIR_OPEN,					/* being judged */
	FS_AVRO_PAIR_GOOD,
	FS_AVRO_PAIR_BAD
} FsAvroPairState;

typedef struct FsAvroPair
{
	int			reader;			/* nodes; -1 is a free slot */
	int			writer;
	FsAvroPairState	state;
	bool		told[2];		/* as a problem, as a cause */
} FsAvroPair;

typedef struct FsAvroChecker
{
	const FsAvroSchema *reader;
	const FsAvroSchema *writer;
	const char *reader_name;
	const char *writer_name;
	FsAvroConflicts *conflicts;
	FsBuffer	path;			/* in the reader's schema */
	const char *field;			/* the innermost one of the path; NULL: none */
	FsAvroPair	   *pairs;			/* open addressing */
	uint32_t	npairs;
	uint32_t	mask;
	int			depth;
	long		steps;
	bool		is_cause;		/* what is told is a cause */
	bool		is_stopped;		/* 'verdict' stands */
	FsAvroVerdict verdict;
} FsAvroChecker;

/* Ends all judging with a verdict; always false.  The first one stays. */
extern bool fs_avro_stop_check(FsAvroChecker *checker, FsAvroVerdict verdict);

/* The slot of a pair: the one that holds it, or the free one it would get. */
extern FsAvroPair *fs_avro_find_pair(const FsAvroChecker *checker, int reader, int writer);

/* The member of this name among those of a node, or FS_AVRO_NO_FIELD. */
extern int	fs_avro_find_member(FsAvroChecker *checker, const FsAvroSchema *schema,
								const FsAvroNode *node, const char *name);

/*
 * The writer's field for a reader's: by its name or an alias, or
 * FS_AVRO_NO_FIELD; FS_AVRO_AMBIGUOUS when there are several.
 */
extern int	fs_avro_find_written(FsAvroChecker *checker, const FsAvroMember *field,
								 const FsAvroNode *writer);

/* Does the reader's named type go by the writer's name? */
extern bool fs_avro_is_called(FsAvroChecker *checker, const FsAvroNode *reader,
							  const FsAvroNode *writer);

/* Does the reader's enum have all of the writer's symbols, or a default for others? */
extern bool fs_avro_has_symbols(FsAvroChecker *checker, const FsAvroNode *reader,
								const FsAvroNode *writer);

/* Appends to the path; how long it was. */
extern size_t fs_avro_push_path(FsAvroChecker *checker, const char *format,...)
			__attribute__((format(printf, 2, 3)));

/* Adds a problem at the path with 'suffix' behind it, unless judging was stopped. */
extern void fs_avro_add_conflict(FsAvroChecker *checker, FsAvroRule rule,
								 const char *suffix, const char *format,...)
			__attribute__((format(printf, 4, 5)));

/* Tells why a pair was lost, unless it was told. */
extern void fs_avro_tell(FsAvroChecker *checker, int reader, int writer);

#endif							/* FS_CORE_AVRO_CHECKER_H */
