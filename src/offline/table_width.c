/*
 * table_width.c
 *		Rows that are wider than a page, told before they are inserted; see table_writer.h.
 *
 * An insert that fails takes its transaction along.  Here is what TOAST will do
 * with a row that is far wider than it likes (heap_toast_insert_or_update()):
 * values are compressed, and those still longer than a pointer to them, aligned,
 * are moved to the TOAST table.  What is left has to fit into a page.
 */
#include "postgres.h"

#include "access/detoast.h"
#include "access/htup_details.h"
#include "access/toast_internals.h"
#include "access/tupmacs.h"
#include "utils/rel.h"

#include "offline/table_writer.h"

#define STAYS_BYTES MAXALIGN(TOAST_POINTER_SIZE)	/* values up to this are not moved */

/* See table_writer.h.  The answer is no unless there are hundreds of columns. */
bool
fs_table_may_overflow(Relation rel)
{
	TupleDesc	desc = RelationGetDescr(rel);
	Size		most = MAXALIGN(SizeofHeapTupleHeader + BITMAPLEN(desc->natts));

	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(desc, i);

		if (attribute->attisdropped)
			continue;
		if (attribute->attlen < 0 && attribute->attstorage == TYPSTORAGE_PLAIN)
			return true;
		most += attribute->attlen > 0 ? MAXALIGN(attribute->attlen) : STAYS_BYTES;
	}
	return most > MaxHeapTupleSize;
}

/* The end of a row's data with a value of variable length behind 'data' bytes, when TOAST has had it. */
static Size
add_value(Size data, Form_pg_attribute attribute, Datum value)
{
	struct varlena *bytes = (struct varlena *) DatumGetPointer(value);
	Size		size = VARSIZE_ANY(bytes);
	Datum		compressed = (Datum) 0;

	if (attribute->attstorage == TYPSTORAGE_PLAIN || VARATT_IS_EXTERNAL(bytes) || size <= STAYS_BYTES)
		return att_align_pointer(data, attribute->attalign, -1, bytes) + size;
	if (attribute->attstorage != TYPSTORAGE_EXTERNAL && !VARATT_IS_COMPRESSED(bytes))
		compressed = toast_compress_datum(value, attribute->attcompression);
	if (compressed == (Datum) 0)
		return data + TOAST_POINTER_SIZE;
	size = VARSIZE_ANY(DatumGetPointer(compressed));
	pfree(DatumGetPointer(compressed));
	return size <= STAYS_BYTES ? att_align_nominal(data, attribute->attalign) + size : data + TOAST_POINTER_SIZE;
}

/* See table_writer.h. */
bool
fs_table_row_overflows(TupleTableSlot *slot)
{
	TupleDesc	desc = slot->tts_tupleDescriptor;
	Size		header = SizeofHeapTupleHeader;
	Size		data = 0;
	bool		has_nulls = false;

	slot_getallattrs(slot);
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(desc, i);

		if (slot->tts_isnull[i])
			has_nulls = true;
		else if (attribute->attlen > 0)
			data = att_align_nominal(data, attribute->attalign) + attribute->attlen;
		else
			data = add_value(data, attribute, slot->tts_values[i]);
	}
	if (has_nulls)
		header += BITMAPLEN(desc->natts);
	return MAXALIGN(MAXALIGN(header) + data) > MaxHeapTupleSize;
}
