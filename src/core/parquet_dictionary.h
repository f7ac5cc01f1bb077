/*
 * parquet_dictionary.h
 *		Dictionary of the values of a column of a row group.
 */
#ifndef FS_CORE_PARQUET_DICTIONARY_H
#define FS_CORE_PARQUET_DICTIONARY_H

#include "core/parquet_values.h"

/* An entry in the hash table. */
typedef struct FsParquetSlot
{
	uint64_t	key;			/* the value itself up to 8 bytes, else a hash of it */
	uint32_t	len;			/* of the value */
	uint32_t	entry;			/* + 1; 0: the slot is empty */
} FsParquetSlot;

typedef struct FsParquetDictionary
{
	FsBuffer	entries;		/* in the order they came, as a dictionary page has them (PLAIN) */
	uint32_t	count;			/* of entries */
	uint32_t   *indexes;		/* of each value, its entry */
	uint32_t   *firsts;			/* of each entry, the number of the first value that is it */
	uint32_t   *pages;			/* of each entry, the last page in which it was met, from 1 on; 0 at first */

	/* Private */
	FsParquetSlot *slots;		/* hash table */
	size_t		nslots;
	size_t		room;			/* values that indexes and firsts have room for */
} FsParquetDictionary;

extern void fs_parquet_dictionary_free(FsParquetDictionary *dictionary);

/*
 * Makes the dictionary of all the values, reusing its memory.  *worth is set to
 * false, and nothing is of use, when it gets larger than 'limit' bytes or
 * values hardly ever repeat.  False when memory is out.
 */
extern bool fs_parquet_dictionary_build(FsParquetDictionary *dictionary, const FsParquetValues *values,
										size_t limit, bool *worth);

#endif							/* FS_CORE_PARQUET_DICTIONARY_H */
