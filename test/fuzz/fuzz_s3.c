/*
 * fuzz_s3.c
 *		Any bytes at all as the answer of an object store.
 *
 * With libFuzzer: clang -g -O1 -fsanitize=fuzzer,address,undefined -Isrc
 * test/fuzz/fuzz_s3.c, all files of src/core, -lm.  With -DFS_FUZZ_MAIN and any
 * compiler: a driver that mutates a few answers at random, [seed [rounds]].
 *
 * What is read has a root, and texts that are UTF-8; what is not read can be freed.
 */
#include "core/s3_answer.h"
#include "fuzz.h"

/* It is there, and UTF-8. */
static void
require_text(const char *text, const char *what)
{
	require(text != NULL && fs_utf8_valid_length(text, strlen(text)) == strlen(text), what);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	FsS3Answer	answer;
	bool		is_read = fs_s3_answer_read(&answer, (const char *) data, size);

	if (is_read)
	{
		require(answer.root[0] != '\0', "there is a root");
		require_text(answer.root, "its name is text");
		require_text(answer.code, "a code is text");
		require_text(answer.upload_id, "an upload's id is text");
		require_text(answer.next_key, "a key is text");
		require_text(answer.next_upload_id, "an id is text");
		for (const FsS3Item *item = answer.items; item != NULL; item = item->next)
		{
			require_text(item->key, "an item's key is text");
			require_text(item->upload_id, "an item's id is text");
			require_text(item->time, "an item's time is text");
		}
	}
	fs_s3_answer_free(&answer);
	return 0;
}

#ifdef FS_FUZZ_MAIN

#define MAX_SIZE 4096

static const char *const seeds[] = {
	"<?xml version=\"1.0\"?><InitiateMultipartUploadResult xmlns=\"x\"><Key>a&amp;b</Key><UploadId>i</UploadId></InitiateMultipartUploadResult>",
	" \n<Error><Code>SlowDown</Code><Message>a &lt;&#x26;&#38; b</Message></Error>",
	"<ListBucketResult><IsTruncated>true</IsTruncated><Contents><Key>k</Key><LastModified>2024-01-15T22:00:00.000Z</LastModified></Contents>"
	"<Contents><Key>l</Key><Owner><ID/></Owner></Contents></ListBucketResult>",
	"<!-- c --><s:ListMultipartUploadsResult xmlns:s='>'><s:NextKeyMarker>k</s:NextKeyMarker><s:Upload><s:UploadId>i</s:UploadId></s:Upload>"
	"</s:ListMultipartUploadsResult>"
};

/* Changes the answer in place, once; returns its new size. */
static size_t
mutate(uint8_t *data, size_t size)
{
	static const char alphabet[] = "<>/&;#x\"'=!?:- a0\x01\xc3\xff\x00";
	static const char *const words[] = {"<Contents>", "</Contents>", "<a/>", "&#x10FFFF;", "<![CDATA[", "<!--", "-->", "<a><a><a><a><a><a>", "&#0;"};
	size_t		at = next_random((uint32_t) size + 1);
	const char *word = words[next_random(LENGTH_OF(words))];

	switch (next_random(3))
	{
		case 0:
			return replace_byte(data, size, at, alphabet, sizeof(alphabet));
		case 1:
			return cut_piece(data, size, at, 20);
		default:
			return insert_word(data, size, MAX_SIZE, at, word);
	}
}

/* An answer, mutated. */
static size_t
make_answer(uint8_t *data)
{
	return mutate_text(data, seeds, LENGTH_OF(seeds), 6, mutate);
}

int
main(int argc, char **argv)
{
	return run_mutations(argc, argv, "fuzz_s3", 50000, make_answer, MAX_SIZE);
}

#endif							/* FS_FUZZ_MAIN */
