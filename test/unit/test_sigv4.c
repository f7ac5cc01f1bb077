/*
 * test_sigv4.c
 *		Unit tests of core/sigv4 and core/sha256: the examples that AWS, FIPS 180-4
 *		and RFC 4231 publish.
 */
#include <stdlib.h>
#include <string.h>

#include "core/sha256.h"
#include "core/sigv4.h"
#include "unit.h"

#define EMPTY_HASH "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

/* The hash of a text taken in pieces of a size, in digits. */
static const char *
hash_of(const char *text, size_t piece)
{
	static char hex[FS_SHA256_HEX];
	uint8_t		digest[FS_SHA256_SIZE];
	FsSha256	hash;

	fs_sha256_begin(&hash);
	for (size_t at = 0; at < strlen(text); at += piece)
		fs_sha256_add(&hash, text + at, strlen(text) - at < piece ? strlen(text) - at : piece);
	fs_sha256_finish(&hash, digest);
	fs_sha256_hex(digest, hex);
	return hex;
}

static const char *
hmac_of(const void *key, size_t key_len, const char *text)
{
	static char hex[FS_SHA256_HEX];
	uint8_t		digest[FS_SHA256_SIZE];

	fs_hmac_sha256(key, key_len, text, strlen(text), digest);
	fs_sha256_hex(digest, hex);
	return hex;
}

static void
test_hashes(void)
{
	char		key[131];
	char		million[1000001];

	CHECK(strcmp(hash_of("", 1), EMPTY_HASH) == 0);
	CHECK(strcmp(hash_of("abc", 1), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad") == 0);
	for (size_t piece = 1; piece < 70; piece += 23)
		CHECK(strcmp(hash_of("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", piece),
					 "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1") == 0);
	memset(million, 'a', sizeof(million) - 1);
	million[sizeof(million) - 1] = '\0';
	CHECK(strcmp(hash_of(million, 977), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0") == 0);
	CHECK(strcmp(hmac_of("Jefe", 4, "what do ya want for nothing?"),
				 "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843") == 0);
	memset(key, 0xaa, sizeof(key));
	CHECK(strcmp(hmac_of(key, sizeof(key), "Test Using Larger Than Block-Size Key - Hash Key First"),
				 "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54") == 0);
}

/* Does a request of AWS's examples ("Signature Calculations for the Authorization Header") get its signature? */
static void
check_example(const char *name, const char *method, const char *path, const char *query,
			  const FsSigv4Header *headers, int nheaders, const char *content_hash, const char *expected)
{
	FsSigv4Request request = {
		.access_key_id = "AKIAIOSFODNN7EXAMPLE",
		.secret_access_key = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
		.region = "us-east-1", .service = "s3", .date = "20130524T000000Z",
		.method = method, .path = path, .query = query,
		.headers = headers, .nheaders = nheaders, .content_hash = content_hash
	};
	FsBuffer	out = {0};

	CHECK_NAMED(fs_sigv4_sign(&request, &out) && strcmp(out.data, expected) == 0, name);
	fs_buffer_free(&out);
}

#define PREFIX "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,SignedHeaders="
#define HOST "examplebucket.s3.amazonaws.com"

static void
test_examples(void)
{
	const FsSigv4Header get[] = {{"host", HOST}, {"range", "bytes=0-9"}, {"x-amz-content-sha256", EMPTY_HASH},
	{"x-amz-date", "20130524T000000Z"}};
	const char *put_hash = "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072";
	const FsSigv4Header put[] = {{"date", "Fri, 24 May 2013 00:00:00 GMT"}, {"host", HOST},
	{"x-amz-content-sha256", put_hash}, {"x-amz-date", "20130524T000000Z"}, {"x-amz-storage-class", "REDUCED_REDUNDANCY"}};
	const FsSigv4Header list[] = {{"host", HOST}, {"x-amz-content-sha256", EMPTY_HASH}, {"x-amz-date", "20130524T000000Z"}};

	check_example("GET an object", "GET", "/test.txt", "", get, 4, EMPTY_HASH,
				  PREFIX "host;range;x-amz-content-sha256;x-amz-date,"
				  "Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
	check_example("PUT an object", "PUT", "/test%24file.text", "", put, 5, put_hash,
				  PREFIX "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class,"
				  "Signature=98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd");
	check_example("GET a bucket's lifecycle", "GET", "/", "lifecycle=", list, 3, EMPTY_HASH,
				  PREFIX "host;x-amz-content-sha256;x-amz-date,"
				  "Signature=fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543");
	check_example("GET a list", "GET", "/", "max-keys=2&prefix=J", list, 3, EMPTY_HASH,
				  PREFIX "host;x-amz-content-sha256;x-amz-date,"
				  "Signature=34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7");
}

int
main(void)
{
	test_hashes();
	test_examples();
	return unit_finish();
}
