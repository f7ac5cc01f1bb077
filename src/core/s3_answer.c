/*
 * s3_answer.c
 *		What an object store that speaks S3 answers; see s3_answer.h.
 *
 * The document is gone through once, element by element.  Only two shapes mean
 * something: texts below the root, and below the items of a list.
 */
#include <string.h>

#include "core/buffer.h"
#include "core/s3_answer.h"
#include "core/utf8.h"

#define MAX_DEPTH	16
#define MAX_NAME	64			/* characters of an element's name; longer ones are none that we know */

/* A piece of the document. */
typedef struct Span
{
	const char *at;
	size_t		len;
} Span;

typedef struct Reader
{
	FsS3Answer *answer;
	const char *at;
	const char *end;
	Span		names[MAX_DEPTH];	/* of the elements that are open, with their prefixes */
	int			depth;
	FsS3Item  **tail;			/* where the next item goes */
	FsS3Item   *item;			/* that is open; NULL: none */
	bool		is_over;		/* the root was closed */
} Reader;

static bool
is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Does the document go on with this text?  Then it is passed. */
static bool
pass(Reader *reader, const char *text)
{
	size_t		len = strlen(text);

	if ((size_t) (reader->end - reader->at) < len || memcmp(reader->at, text, len) != 0)
		return false;
	reader->at += len;
	return true;
}

/* Passes all up to and with a text; false when there is none. */
static bool
pass_until(Reader *reader, const char *text)
{
	while (reader->at < reader->end)
	{
		if (pass(reader, text))
			return true;
		reader->at++;
	}
	return false;
}

/* Is the name that one, with whatever prefix? */
static bool
is_named(Span name, const char *text)
{
	const char *colon = memchr(name.at, ':', name.len);
	size_t		skip = colon == NULL ? 0 : (size_t) (colon - name.at) + 1;
	size_t		len = strlen(text);

	return name.len - skip == len && memcmp(name.at + skip, text, len) == 0;
}

/* A name, up to what ends it; without characters when there is none. */
static Span
read_name(Reader *reader)
{
	Span		name = {reader->at, 0};

	while (reader->at < reader->end && !is_space(*reader->at) && strchr("/><=\"'&", *reader->at) == NULL)
		reader->at++;
	name.len = (size_t) (reader->at - name.at);
	return name;
}

/* Reads what stands for one character, such as "amp" or "#x26"; 0: nothing that we know. */
static uint32_t
read_entity(const char *at, size_t len)
{
	static const struct
	{
		const char *name;
		char		character;
	}			known[] = {{"amp", '&'}, {"lt", '<'}, {"gt", '>'}, {"quot", '"'}, {"apos", '\''}};
	uint32_t	code = 0;
	bool		is_hex = len > 2 && at[0] == '#' && at[1] == 'x';

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (len == strlen(known[i].name) && memcmp(at, known[i].name, len) == 0)
			return (uint32_t) known[i].character;
	if (len < 2 || at[0] != '#')
		return 0;
	for (size_t i = is_hex ? 2 : 1; i < len; i++)
	{
		char		c = at[i] | 0x20;
		uint32_t	digit = at[i] >= '0' && at[i] <= '9' ? (uint32_t) (at[i] - '0') :
			is_hex && c >= 'a' && c <= 'f' ? (uint32_t) (c - 'a') + 10 : 99;

		code = code * (is_hex ? 16 : 10) + digit;
		if (digit == 99 || code > 0x10FFFF)
			return 0;
	}
	return code >= 0xD800 && code <= 0xDFFF ? 0 : code;
}

/* The text without what stands for characters, with a zero behind it, in the answer's memory; NULL: malformed, or memory is out. */
static const char *
decode_text(Reader *reader, Span text)
{
	char	   *copy = fs_scratch_take(&reader->answer->memory, text.len + 1);
	char	   *out = copy;
	const char *end = text.at + text.len;

	if (copy == NULL || memchr(text.at, '\0', text.len) != NULL)
		return NULL;
	for (const char *p = text.at; p < end;)
	{
		const char *semicolon = *p == '&' ? memchr(p, ';', (size_t) (end - p)) : NULL;
		uint32_t	code;

		if (*p != '&')
		{
			*out++ = *p++;
			continue;
		}
		code = semicolon == NULL ? 0 : read_entity(p + 1, (size_t) (semicolon - p) - 1);
		if (code == 0)
			return NULL;
		out = fs_utf8_encode(out, code);	/* no longer than what stands for it */
		p = semicolon + 1;
	}
	*out = '\0';
	return copy;
}

/* Where the text of the element that is open goes; NULL: nowhere. */
static const char **
find_place(Reader *reader)
{
	FsS3Answer *answer = reader->answer;
	Span		name = reader->names[reader->depth - 1];

	if (reader->depth == 2)
		return is_named(name, "Code") ? &answer->code : is_named(name, "UploadId") ? &answer->upload_id :
			is_named(name, "NextKeyMarker") ? &answer->next_key :
			is_named(name, "NextUploadIdMarker") ? &answer->next_upload_id : NULL;
	if (reader->depth != 3 || reader->item == NULL)
		return NULL;
	return is_named(name, "Key") ? &reader->item->key : is_named(name, "UploadId") ? &reader->item->upload_id :
		is_named(name, "LastModified") || is_named(name, "Initiated") ? &reader->item->time : NULL;
}

/* An element without others in it is closed: takes its text. */
static bool
take_text(Reader *reader, Span text)
{
	const char **place = find_place(reader);

	if (place != NULL && (*place = decode_text(reader, text)) == NULL)
		return false;
	if (reader->depth == 2 && is_named(reader->names[1], "IsTruncated"))
		reader->answer->is_truncated = text.len == 4 && memcmp(text.at, "true", 4) == 0;
	return true;
}

/* Opens an element; an item of a list begins with it. */
static bool
open_element(Reader *reader, Span name)
{
	FsS3Answer *answer = reader->answer;

	if (reader->depth == MAX_DEPTH || reader->is_over)
		return false;
	reader->names[reader->depth++] = name;
	if (reader->depth == 1)
	{
		const char *colon = memchr(name.at, ':', name.len);
		size_t		skip = colon == NULL ? 0 : (size_t) (colon - name.at) + 1;

		if (name.len - skip <= MAX_NAME)
			answer->root = decode_text(reader, (Span) {name.at + skip, name.len - skip});
		return answer->root != NULL;
	}
	if (reader->depth == 2 && (is_named(name, "Contents") || is_named(name, "Upload")))
	{
		reader->item = fs_scratch_take_aligned(&answer->memory, sizeof(FsS3Item));
		if (reader->item == NULL)
			return false;
		*reader->item = (FsS3Item) {.key = "", .upload_id = "", .time = ""};
		*reader->tail = reader->item;
		reader->tail = &reader->item->next;
	}
	return true;
}

/* Is that the element that is to be closed next? */
static bool
is_open(const Reader *reader, Span name)
{
	const Span *opened = reader->depth == 0 ? NULL : &reader->names[reader->depth - 1];

	return opened != NULL && opened->len == name.len && memcmp(opened->at, name.at, name.len) == 0;
}

/* Closes the element that is open. */
static void
close_element(Reader *reader)
{
	FS_ASSERT(reader->depth > 0);
	if (reader->depth == 2)
		reader->item = NULL;
	reader->depth--;
	reader->is_over = reader->depth == 0;
}

/* Passes the rest of a tag, attributes and all; *is_empty: it closes its element at once. */
static bool
pass_tag(Reader *reader, bool *is_empty)
{
	*is_empty = false;
	for (; reader->at < reader->end; reader->at++)
	{
		char		c = *reader->at;
		const char *quote = c == '"' || c == '\'' ? memchr(reader->at + 1, c, (size_t) (reader->end - reader->at) - 1) : NULL;

		if (c == '>')
		{
			reader->at++;
			return true;
		}
		if (c == '<' || ((c == '"' || c == '\'') && quote == NULL))
			return false;
		if (quote != NULL)
			reader->at = quote;
		*is_empty = c == '/';
	}
	return false;
}

/* Reads a tag, behind its "<"; *has_text: a text begins that may be its element's own. */
static bool
read_tag(Reader *reader, Span text, bool *has_text)
{
	bool		is_end = pass(reader, "/");
	Span		name = read_name(reader);
	bool		is_empty;

	if (name.len == 0 || !pass_tag(reader, &is_empty) || (is_end && is_empty))
		return false;
	if (!is_end && !open_element(reader, name))
		return false;
	if (is_end && (!is_open(reader, name) || (*has_text && !take_text(reader, text))))
		return false;
	if (is_end || is_empty)
		close_element(reader);
	*has_text = !is_end && !is_empty;
	return true;
}

/* Reads all elements. */
static bool
read_document(Reader *reader)
{
	bool		has_text = false;

	while (reader->at < reader->end)
	{
		Span		text = {reader->at, 0};

		while (reader->at < reader->end && *reader->at != '<')
			if (!is_space(*reader->at++) && reader->depth == 0)
				return false;
		text.len = (size_t) (reader->at - text.at);
		if (reader->at == reader->end)
			break;
		if (pass(reader, "<?"))
		{
			if (!pass_until(reader, "?>"))
				return false;
		}
		else if (pass(reader, "<!--"))
		{
			if (!pass_until(reader, "-->"))
				return false;
			has_text = false;
		}
		else if (!pass(reader, "<") || !read_tag(reader, text, &has_text))
			return false;
	}
	return reader->is_over;
}

/* See s3_answer.h. */
bool
fs_s3_answer_read(FsS3Answer *answer, const char *body, size_t len)
{
	Reader		reader = {.answer = answer, .at = body, .end = body + len, .tail = &answer->items};

	*answer = (FsS3Answer) {.root = "", .code = "", .upload_id = "", .next_key = "", .next_upload_id = ""};
	if (len == 0 || fs_utf8_valid_length(body, len) != len)
		return false;
	(void) pass(&reader, "\xEF\xBB\xBF");
	return read_document(&reader);
}

/* See s3_answer.h. */
void
fs_s3_answer_free(FsS3Answer *answer)
{
	fs_scratch_free(&answer->memory);
	memset(answer, 0, sizeof(*answer));
}

/* See s3_answer.h. */
int64_t
fs_s3_part_size(int64_t len)
{
	int64_t		least = (len + FS_S3_MAX_PARTS - 1) / FS_S3_MAX_PARTS;

	FS_ASSERT(len >= 0);
	return least < FS_S3_PART_SIZE ? FS_S3_PART_SIZE : least;
}
