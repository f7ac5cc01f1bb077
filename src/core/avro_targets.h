/*
 * avro_targets.h
 *		The paths of columns ('a.b.c') as a tree of names.
 *
 * For avro_resolve.c and avro_encode_plan.c, which follow it through schemas.
 */
#ifndef FS_CORE_AVRO_TARGETS_H
#define FS_CORE_AVRO_TARGETS_H

#include "core/decode.h"

#define FS_AVRO_NO_TARGET	(-1)

/* A name on the path of some column. */
typedef struct FsAvroTarget
{
	const char *name;			/* in the field's name */
	size_t		len;
	int			first_column;	/* that ends here, or FS_AVRO_NO_TARGET */
	int			child;			/* the first one, or FS_AVRO_NO_TARGET */
	int			sibling;
} FsAvroTarget;

/* All zero is a tree that there is not yet. */
typedef struct FsAvroTargets
{
	int			ntargets;
	FsAvroTarget *targets;		/* 0 is the root */
	int		   *next_column;	/* per field: the next one that ends at the same target */
} FsAvroTargets;

/* Enters the paths of all fields, whose names are not copied; false when memory is out.  To be freed in any case. */
extern bool fs_avro_targets_init(FsAvroTargets *tree, const FsField *fields, int nfields);
extern void fs_avro_targets_free(FsAvroTargets *tree);

/* The child of a target that is called 'name', or FS_AVRO_NO_TARGET. */
extern int	fs_avro_targets_find(const FsAvroTargets *tree, int parent, const char *name);

#endif							/* FS_CORE_AVRO_TARGETS_H */
