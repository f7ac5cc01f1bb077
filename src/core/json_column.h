/*
 * json_column.h
 *		From one JSON value to the value of a declared column.
 *
 * For the JSON decoder; characters and sentences for Avro's, too.  Coercions are
 * strict, so that a producer's change of type is seen at once: a text is made of
 * a string only, an integer of a number without fraction only, and so on.  The
 * caller has dealt with null.
 */
#ifndef FS_CORE_JSON_COLUMN_H
#define FS_CORE_JSON_COLUMN_H

#include "core/decode.h"
#include "core/json_scan.h"
#include "core/scratch.h"

/* Why a value does not fit its column. */
typedef enum FsMisfit
{
	FS_MISFIT_NONE = 0,
	FS_MISFIT_KIND,				/* another kind of JSON value is needed */
	FS_MISFIT_FORM,				/* a string not of the type's form */
	FS_MISFIT_FRACTION,			/* a fraction, for an integer type */
	FS_MISFIT_RANGE,
	FS_MISFIT_NUL,				/* \u0000 */
	FS_MISFIT_SURROGATE,		/* half of a surrogate pair */
	FS_MISFIT_LENGTH,			/* an array of too many elements */
	FS_MISFIT_PATH,				/* no object, where a path goes on */
	FS_MISFIT_NO_MEMORY			/* not the value's fault */
} FsMisfit;

/*
 * Makes the token *value, which points into the record or into 'scratch', or
 * says why it cannot be.  Sets all of *value but its presence.
 */
extern FsMisfit fs_json_take_value(FsScratch *scratch, const FsField *field,
								   const FsJsonToken *token, FsValue *value);

/* Makes characters (valid UTF-8 without NUL) a text, uuid, date or timestamptz. */
extern FsMisfit fs_json_take_text(FsScratch *scratch, FsType type,
								  const char *data, size_t len, FsValue *value);

/*
 * Writes to 'out' the end of a sentence that began with the value: what is
 * wrong with it for the field's type.
 */
extern void fs_json_write_misfit(char *out, size_t size, FsMisfit misfit,
								 const FsField *field);

#endif							/* FS_CORE_JSON_COLUMN_H */
