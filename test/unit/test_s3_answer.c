/*
 * test_s3_answer.c
 *		Unit tests of core/s3_answer: answers of stores, and what is none.
 */
#include <stdlib.h>
#include <string.h>

#include "core/s3_answer.h"
#include "unit.h"

/* Reads a copy without anything behind it, so that reading too far is seen. */
static bool
read_text(FsS3Answer *answer, const char *text)
{
	size_t		len = strlen(text);
	char	   *copy = malloc(len > 0 ? len : 1);
	bool		ok;

	memcpy(copy, text, len);
	ok = fs_s3_answer_read(answer, copy, len);
	free(copy);
	return ok;
}

static void
test_upload(void)
{
	FsS3Answer	answer;

	CHECK(read_text(&answer, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
					"<InitiateMultipartUploadResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\n"
					"  <Bucket>b</Bucket><Key>a/b</Key><UploadId>x&amp;y&#47;&#x7A;</UploadId>\n"
					"</InitiateMultipartUploadResult>\n"));
	CHECK(strcmp(answer.root, "InitiateMultipartUploadResult") == 0);
	CHECK(strcmp(answer.upload_id, "x&y/z") == 0);
	CHECK(answer.items == NULL && answer.code[0] == '\0' && !answer.is_truncated);
	fs_s3_answer_free(&answer);

	/* space comes first when a store takes its time */
	CHECK(read_text(&answer, " \n  \n<?xml version=\"1.0\"?><Error><Code>InternalError</Code><Message>a &lt; b</Message></Error>"));
	CHECK(strcmp(answer.root, "Error") == 0 && strcmp(answer.code, "InternalError") == 0);
	fs_s3_answer_free(&answer);
}

static void
test_lists(void)
{
	FsS3Answer	answer;

	CHECK(read_text(&answer, "<ListBucketResult><Name>b</Name><IsTruncated>true</IsTruncated><!-- two -->"
					"<Contents><Key>a/1</Key><LastModified>2024-01-15T22:00:00.000Z</LastModified><ETag>&quot;e&quot;</ETag>"
					"<Owner><ID>k</ID><Key>not this one</Key></Owner><Size>5</Size></Contents>"
					"<CommonPrefixes><Prefix>p</Prefix></CommonPrefixes>"
					"<Contents><Key>a/\xC3\xBC</Key></Contents></ListBucketResult>"));
	CHECK(answer.is_truncated);
	CHECK(strcmp(answer.items->key, "a/1") == 0 && strcmp(answer.items->time, "2024-01-15T22:00:00.000Z") == 0);
	CHECK(strcmp(answer.items->next->key, "a/\xC3\xBC") == 0 && answer.items->next->time[0] == '\0');
	CHECK(answer.items->next->next == NULL);
	fs_s3_answer_free(&answer);

	CHECK(read_text(&answer, "<s3:ListMultipartUploadsResult xmlns:s3='x>y'><s3:NextKeyMarker>k</s3:NextKeyMarker>"
					"<s3:NextUploadIdMarker>i</s3:NextUploadIdMarker><s3:IsTruncated>false</s3:IsTruncated>"
					"<s3:Upload><s3:Key>k</s3:Key><s3:UploadId>i</s3:UploadId><s3:Initiated>2024-01-15T22:00:00Z</s3:Initiated>"
					"<s3:Owner/></s3:Upload></s3:ListMultipartUploadsResult>"));
	CHECK(strcmp(answer.root, "ListMultipartUploadsResult") == 0 && !answer.is_truncated);
	CHECK(strcmp(answer.next_key, "k") == 0 && strcmp(answer.next_upload_id, "i") == 0 && answer.upload_id[0] == '\0');
	CHECK(strcmp(answer.items->upload_id, "i") == 0 && strcmp(answer.items->time, "2024-01-15T22:00:00Z") == 0);
	fs_s3_answer_free(&answer);

	CHECK(read_text(&answer, "<ListBucketResult/>") && answer.items == NULL);
	fs_s3_answer_free(&answer);
}

/* Whatever is cut off, or not XML, is no answer. */
static void
test_malformed(void)
{
	static const char *const texts[] = {
		"", " ", "Bad Gateway", "<a>", "<a></b>", "</a>", "<a/><b/>", "<a></a>text", "text<a/>", "<", "<a", "<a b='/>", "<a b=\"x/>",
		"<>", "</>", "<a></a/>", "<a><Code>&nbsp;</Code></a>", "<a><Code>&amp</Code></a>", "<a><Code>&#xD800;</Code></a>",
		"<a><Code>&#0;</Code></a>", "<a><Code>&#x110000;</Code></a>", "<a><Code>&#;</Code></a>", "<a><Code>&;</Code></a>",
		"<!DOCTYPE a [<!ENTITY b 'c'>]><a/>", "<a><![CDATA[b]]></a>", "<?xml", "<!-- <a/>", "<a>\xFF</a>",
		"<a><a><a><a><a><a><a><a><a><a><a><a><a><a><a><a><a></a></a></a></a></a></a></a></a></a></a></a></a></a></a></a></a></a>"
	};
	const char *whole = "<Error xmlns=\"x\"><Code>SlowDown</Code></Error>";
	FsS3Answer	answer;

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
	{
		CHECK_NAMED(!read_text(&answer, texts[i]), texts[i]);
		fs_s3_answer_free(&answer);
	}
	for (size_t len = 0; len < strlen(whole); len++)
	{
		char		text[64];

		memcpy(text, whole, len);
		text[len] = '\0';
		CHECK_NAMED(!read_text(&answer, text), text);
		fs_s3_answer_free(&answer);
	}
	CHECK(!fs_s3_answer_read(&answer, "<a><Code>x\0</Code></a>", 22));
	fs_s3_answer_free(&answer);
}

static void
test_parts(void)
{
	const int64_t mb = 1024 * 1024;

	CHECK(fs_s3_part_size(0) == 8 * mb && fs_s3_part_size(9 * mb) == 8 * mb);
	CHECK(fs_s3_part_size(8 * mb * 10000) == 8 * mb);
	for (int64_t len = 8 * mb * 10000 + 1; len < 400000 * mb; len += 77777 * mb)
		CHECK(fs_s3_part_size(len) > 8 * mb && (len + fs_s3_part_size(len) - 1) / fs_s3_part_size(len) <= 10000);
}

int
main(void)
{
	test_upload();
	test_lists();
	test_malformed();
	test_parts();
	return unit_finish();
}
