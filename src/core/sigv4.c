/*
 * sigv4.c
 *		AWS Signature Version 4; see sigv4.h.
 *
 * Words are those of AWS's description: the canonical request is hashed into the
 * string to sign, which is signed with a key derived for the day, the region and
 * the service.
 */
#include <string.h>

#include "core/sha256.h"
#include "core/sigv4.h"

#define ALGORITHM "AWS4-HMAC-SHA256"
#define DAY 8					/* characters of a date */

static bool
append(FsBuffer *out, const char *text)
{
	return fs_buffer_append(out, text, strlen(text));
}

/* "host;x-amz-date" */
static bool
append_signed_headers(FsBuffer *out, const FsSigv4Request *request)
{
	for (int i = 0; i < request->nheaders; i++)
	{
		FS_ASSERT(i == 0 || strcmp(request->headers[i - 1].name, request->headers[i].name) < 0);
		if ((i > 0 && !append(out, ";")) || !append(out, request->headers[i].name))
			return false;
	}
	return true;
}

/* "20130524/us-east-1/s3/aws4_request" */
static bool
append_scope(FsBuffer *out, const FsSigv4Request *request)
{
	return fs_buffer_append(out, request->date, DAY) && append(out, "/") && append(out, request->region) &&
		append(out, "/") && append(out, request->service) && append(out, "/aws4_request");
}

/* The request as it is signed. */
static bool
append_canonical(FsBuffer *out, const FsSigv4Request *request)
{
	if (!append(out, request->method) || !append(out, "\n") || !append(out, request->path) ||
		!append(out, "\n") || !append(out, request->query) || !append(out, "\n"))
		return false;
	for (int i = 0; i < request->nheaders; i++)
		if (!append(out, request->headers[i].name) || !append(out, ":") ||
			!append(out, request->headers[i].value) || !append(out, "\n"))
			return false;
	return append(out, "\n") && append_signed_headers(out, request) && append(out, "\n") &&
		append(out, request->content_hash);
}

/* What is signed: the hash of the canonical request, and when and where it is for. */
static bool
append_string_to_sign(FsBuffer *out, const FsSigv4Request *request)
{
	FsBuffer	canonical = {0};
	FsSha256	hash;
	uint8_t		digest[FS_SHA256_SIZE];
	char		text[FS_SHA256_HEX];
	bool		ok = append_canonical(&canonical, request);

	if (ok)
	{
		fs_sha256_begin(&hash);
		fs_sha256_add(&hash, canonical.data, canonical.len);
		fs_sha256_finish(&hash, digest);
		fs_sha256_hex(digest, text);
	}
	fs_buffer_free(&canonical);
	return ok && append(out, ALGORITHM "\n") && append(out, request->date) && append(out, "\n") &&
		append_scope(out, request) && append(out, "\n") && append(out, text);
}

/* The key for the day, the region and the service; false when memory is out. */
static bool
derive_key(const FsSigv4Request *request, uint8_t *key)
{
	FsBuffer	secret = {0};
	bool		ok = append(&secret, "AWS4") && append(&secret, request->secret_access_key);

	if (ok)
	{
		fs_hmac_sha256(secret.data, secret.len, request->date, DAY, key);
		fs_hmac_sha256(key, FS_SHA256_SIZE, request->region, strlen(request->region), key);
		fs_hmac_sha256(key, FS_SHA256_SIZE, request->service, strlen(request->service), key);
		fs_hmac_sha256(key, FS_SHA256_SIZE, "aws4_request", strlen("aws4_request"), key);
	}
	fs_buffer_free(&secret);
	return ok;
}

/* See sigv4.h. */
bool
fs_sigv4_sign(const FsSigv4Request *request, FsBuffer *out)
{
	FsBuffer	string = {0};
	uint8_t		key[FS_SHA256_SIZE];
	char		signature[FS_SHA256_HEX];
	bool		ok;

	FS_ASSERT(strlen(request->date) == FS_SIGV4_DATE - 1);
	ok = append_string_to_sign(&string, request) && derive_key(request, key);
	if (ok)
	{
		fs_hmac_sha256(key, FS_SHA256_SIZE, string.data, string.len, key);
		fs_sha256_hex(key, signature);
	}
	fs_buffer_free(&string);
	return ok && append(out, ALGORITHM " Credential=") && append(out, request->access_key_id) && append(out, "/") &&
		append_scope(out, request) && append(out, ",SignedHeaders=") && append_signed_headers(out, request) &&
		append(out, ",Signature=") && append(out, signature) && fs_buffer_append_byte(out, 0);
}
