/*
 * s3_answer.h
 *		What an object store that speaks S3 answers: its XML, read.
 *
 * An answer comes from outside and may be anything: it is read when it is one
 * well-formed document without a type of its own (no entities but those that all
 * documents have), nested no deeper than a few elements.  What is not known in it
 * is passed over.  Names count without their namespaces, which stores leave out.
 */
#ifndef FS_CORE_S3_ANSWER_H
#define FS_CORE_S3_ANSWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/scratch.h"

#define FS_S3_MAX_PARTS		10000	/* of an upload, numbered from 1 */
#define FS_S3_PART_SIZE		(INT64_C(8) * 1024 * 1024)	/* bytes: the least that parts of ours have, but for the last */

/* An object of a list, or an upload that was begun; texts are empty where the store does not say. */
typedef struct FsS3Item
{
	const char *key;
	const char *upload_id;
	const char *time;			/* when it was put, or begun: ISO 8601 */
	struct FsS3Item *next;
} FsS3Item;

/* Texts are in 'memory', and empty where the answer has none. */
typedef struct FsS3Answer
{
	const char *root;			/* the outermost element: "ListBucketResult", "Error" */
	const char *code;			/* of an error */
	const char *upload_id;		/* of the upload that was begun */
	bool		is_truncated;	/* the list goes on ... */
	const char *next_key;		/* ... behind these, where it is one of uploads */
	const char *next_upload_id;
	FsS3Item   *items;			/* as they stand there */
	FsScratch	memory;
} FsS3Answer;

/*
 * Reads an answer, which need not outlive the call; false when it cannot be read
 * or memory is out.  Whatever comes of it, fs_s3_answer_free() frees what
 * 'answer' holds.
 */
extern bool fs_s3_answer_read(FsS3Answer *answer, const char *body, size_t len);
extern void fs_s3_answer_free(FsS3Answer *answer);

/* How many bytes the parts of an object have that is so long, but for the last. */
extern int64_t fs_s3_part_size(int64_t len);

#endif							/* FS_CORE_S3_ANSWER_H */
