/*
 * sigv4.h
 *		Signatures of requests to S3 and its likes: AWS Signature Version 4.
 *
 * libcurl has them, too, but signs some paths and queries otherwise than servers
 * do, and differently from version to version.  Here the caller spells path and
 * query as they are sent: of unreserved characters (and slashes), parameters in
 * the order of their names.
 */
#ifndef FS_CORE_SIGV4_H
#define FS_CORE_SIGV4_H

#include <stdbool.h>

#include "core/buffer.h"

#define FS_SIGV4_DATE	17		/* "20130524T000000Z" and the zero */

/* A header that is signed. */
typedef struct FsSigv4Header
{
	const char *name;			/* in lower case */
	const char *value;			/* without space at its ends, or twice inside */
} FsSigv4Header;

typedef struct FsSigv4Request
{
	const char *access_key_id;
	const char *secret_access_key;
	const char *region;
	const char *service;		/* "s3" */
	const char *date;			/* UTC, "20130524T000000Z" */
	const char *method;
	const char *path;
	const char *query;			/* "" when there is none */
	const FsSigv4Header *headers;	/* in the order of their names; host and x-amz-date are among them */
	int			nheaders;
	const char *content_hash;	/* SHA-256 of the body in digits, or UNSIGNED-PAYLOAD */
} FsSigv4Request;

/* Appends the value of the request's header Authorization, and a zero; false when memory is out. */
extern bool fs_sigv4_sign(const FsSigv4Request *request, FsBuffer *out);

#endif							/* FS_CORE_SIGV4_H */
