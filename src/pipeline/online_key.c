/*
 * online_key.c
 *		The online key of an entity; see online_key.h.
 */
#include "postgres.h"

#include "catalog/online_key.h"
#include "core/percent.h"
#include "pipeline/online_key.h"
#include "pipeline/row.h"
#include "pipeline/values.h"

/* See online_key.h. */
char *
fs_online_key_of_values(const FsViewDef *view, const FsKeyPart *parts, int nparts,
						const Datum *values, uint32 *len)
{
	FsBuffer	buffer = {0};
	bool		fine = true;
	char	   *key;

	for (int i = 0; i < nparts; i++)
	{
		const FsKeyPart *part = &parts[i];

		if (part->literal != NULL)
			fine = fine && fs_buffer_append(&buffer, part->literal, strlen(part->literal));
		else
		{
			uint32		text_len;
			char	   *text = fs_datum_online_text(fs_view_entity(view, part->entity)->typid,
													values[part->entity], &text_len);

			fine = fine && fs_percent_escape(&buffer, text, text_len);
		}
	}
	if (!fine)
	{
		fs_buffer_free(&buffer);
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("out of memory"),
				 errdetail("Could not render an online key.")));
	}
	*len = buffer.len;
	key = pnstrdup(buffer.data == NULL ? "" : buffer.data, buffer.len);
	fs_buffer_free(&buffer);
	return key;
}

char *
fs_online_key_render(const FsShard *shard, const FsView *view, const FsEntity *entity, uint32 *len)
{
	const FsViewDef *def = view->def;
	Datum	   *values = palloc(sizeof(Datum) * def->nentity);

	fs_key_decode(def, entity->key, entity->key_len, values);
	return fs_online_key_of_values(def, view->key_parts, view->nkey_parts, values, len);
}
