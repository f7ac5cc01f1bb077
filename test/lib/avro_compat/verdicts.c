/*
 * verdicts.c
 *		Our verdicts on the cases of standard input, as Verdicts.java prints Avro's.
 *
 * An ambiguous field is a NAME_MISMATCH here; causes are left out, which Avro
 * does not tell.  With -v the problems follow, each on a line with "#" before.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/avro_canonical.h"
#include "core/avro_compat.h"

/* Parses a copy of its exact size, so that a sanitizer sees a read beyond its end. */
static FsAvroSchema *
parse(const char *text)
{
	size_t		len = strlen(text);
	char	   *copy = malloc(len > 0 ? len : 1);
	FsAvroSource source = {copy, len};
	char		message[FS_AVRO_MESSAGE_SIZE];
	FsAvroSchema *schema;

	memcpy(copy, text, len);
	schema = fs_avro_schema_parse(&source, 1, message);
	free(copy);
	return schema;
}

static int
compare_names(const void *a, const void *b)
{
	return strcmp(*(const char *const *) a, *(const char *const *) b);
}

/* Prints the rules broken, each once, in alphabetical order. */
static void
print_rules(const FsAvroConflicts *conflicts)
{
	const char *names[FS_AVRO_MAX_CONFLICTS];
	int			n = 0;

	for (int i = 0; i < conflicts->count; i++)
		if (!conflicts->items[i].is_cause)
			names[n++] = fs_avro_rule_name(conflicts->items[i].rule);
	qsort(names, (size_t) n, sizeof(names[0]), compare_names);
	for (int i = 0; i < n; i++)
		if (i == 0 || strcmp(names[i], names[i - 1]) != 0)
			printf("%s%s", i > 0 ? "," : "", names[i]);
	printf("%s\t", n == 0 ? "-" : "");
}

/* Prints the canonical form of the specification; the whole form is only made. */
static void
print_form(const FsAvroSchema *schema)
{
	FsBuffer	form = {0};

	if (!fs_avro_canonical_write(&form, schema, true))
		exit(2);
	fs_buffer_reset(&form);
	if (!fs_avro_canonical_write(&form, schema, false))
		exit(2);
	printf("%.*s\n", (int) form.len, form.data);
	fs_buffer_free(&form);
}

static void
judge(const char *name, const char *reader_text, const char *writer_text, bool verbose)
{
	static const char *const verdicts[] = {"compatible", "incompatible", "too large", "no memory"};
	FsAvroSchema *reader = parse(reader_text);
	FsAvroSchema *writer = parse(writer_text);
	FsAvroConflicts conflicts = {0};

	if (reader == NULL || writer == NULL)
		printf("%s\tinvalid\t-\t-\n", name);
	else
	{
		printf("%s\t%s\t", name,
			   verdicts[fs_avro_compat_check(reader, writer, "reader", "writer", &conflicts)]);
		print_rules(&conflicts);
		print_form(reader);
	}
	for (int i = 0; i < conflicts.count && verbose; i++)
		printf("# %s%s %s: %s\n", conflicts.items[i].is_cause ? "  " : "",
			   fs_avro_rule_name(conflicts.items[i].rule), conflicts.items[i].path,
			   conflicts.items[i].sentence);
	fs_avro_conflicts_free(&conflicts);
	fs_avro_schema_free(reader);
	fs_avro_schema_free(writer);
}

int
main(int argc, char **argv)
{
	char	   *line = NULL;
	size_t		size = 0;

	while (getline(&line, &size, stdin) > 0)
	{
		char	   *name = strtok(line, "\t\n");
		char	   *reader = strtok(NULL, "\t\n");
		char	   *writer = strtok(NULL, "\t\n");

		if (name == NULL || reader == NULL || writer == NULL)
			return 2;
		judge(name, reader, writer, argc > 1);
	}
	free(line);
	return 0;
}
