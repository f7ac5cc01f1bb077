/*
 * online_key.c
 *		The template of a feature view's keys in the online store.
 *
 * Two entities must never share a key, else one user would be served another's
 * features.  Values are percent-escaped down to unreserved characters, so it is
 * enough that every entity column is in the template and that between two of
 * them there is a character no escaped value can contain.
 */
#include "postgres.h"

#include <ctype.h>

#include "lib/stringinfo.h"

#include "catalog/online_key.h"

static void
throw_bad_key(const char *key, const char *detail)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("invalid online_key \"%s\"", key),
			 errdetail("%s", detail),
			 errhint("Write literal text and the names of all entity columns in braces, for example \"user:{user_id}:features\".")));
}

/* Index into view->entity of the entity column of this name, or -1. */
static int
find_entity(const FsViewDef *view, const char *name)
{
	for (int i = 0; i < view->noutputs; i++)
		if (view->outputs[i].is_entity &&
			strcmp(view->outputs[i].name, name) == 0)
			return view->outputs[i].index;
	return -1;
}

/* Can no percent-escaped value contain one of these characters? */
static bool
separates(const char *literal)
{
	for (; *literal != '\0'; literal++)
		if (!isalnum((unsigned char) *literal) &&
			strchr("-._~%", *literal) == NULL)
			return true;
	return false;
}

/* Throws for an entity column that is missing or stands next to another one. */
static void
check_parts(const FsViewDef *view, const char *key, const FsKeyPart *parts,
			int nparts)
{
	for (int i = 0; i < view->noutputs; i++)
	{
		int			count = 0;

		for (int j = 0; view->outputs[i].is_entity && j < nparts; j++)
			if (parts[j].literal == NULL &&
				parts[j].entity == view->outputs[i].index)
				count++;
		if (view->outputs[i].is_entity && count == 0)
			throw_bad_key(key, psprintf("It lacks {%s}: entities that differ in it would share a key.",
										view->outputs[i].name));
	}
	for (int i = 2; i < nparts; i++)
		if (parts[i].literal == NULL && parts[i - 2].literal == NULL &&
			!separates(parts[i - 1].literal))
			throw_bad_key(key, "Between two columns there must be a separator such as \":\".");
	for (int i = 1; i < nparts; i++)
		if (parts[i].literal == NULL && parts[i - 1].literal == NULL)
			throw_bad_key(key, "Between two columns there must be a separator such as \":\".");
}

/* See online_key.h. */
FsKeyPart *
fs_online_key_parse(const FsViewDef *view, const char *key, int *nparts)
{
	FsKeyPart  *parts = palloc0((strlen(key) + 1) * sizeof(FsKeyPart));
	const char *s = key;

	*nparts = 0;
	while (*s != '\0')
	{
		FsKeyPart  *part = &parts[(*nparts)++];
		size_t		length = strcspn(s, "{}");

		if (length > 0)
		{
			part->literal = pnstrdup(s, length);
			s += length;
			continue;
		}
		length = strcspn(s + 1, "{}");
		if (*s != '{' || s[1 + length] != '}')
			throw_bad_key(key, "Its braces do not match.");
		part->entity = find_entity(view, pnstrdup(s + 1, length));
		if (part->entity < 0)
			throw_bad_key(key, psprintf("\"%.*s\" is not an entity column of the feature view.",
										(int) length, s + 1));
		s += length + 2;
	}
	check_parts(view, key, parts, *nparts);
	Assert(*nparts > 0);
	return parts;
}

/* See online_key.h. */
char *
fs_online_key_default(const FsViewDef *view)
{
	StringInfoData key;

	initStringInfo(&key);
	appendStringInfoString(&key, view->name);
	for (int i = 0; i < view->noutputs; i++)
		if (view->outputs[i].is_entity)
			appendStringInfo(&key, ":{%s}", view->outputs[i].name);
	return key.data;
}

/* Steps over a placeholder and returns '{' for it, else the next character. */
static char
next_symbol(const char **s)
{
	char		c = **s;

	if (c == '{')
		*s += strcspn(*s, "}");
	if (**s != '\0')
		(*s)++;
	return c;
}

/* See online_key.h. */
bool
fs_online_key_same(const char *a, const char *b)
{
	char		x;
	char		y;

	do
	{
		x = next_symbol(&a);
		y = next_symbol(&b);
	} while (x == y && x != '\0');
	return x == y;
}
