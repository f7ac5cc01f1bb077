/*
 * stream_contract.h
 *		The data contract of a stream: its columns, DEFAULTs and CHECKs.
 */
#ifndef FS_CATALOG_STREAM_CONTRACT_H
#define FS_CATALOG_STREAM_CONTRACT_H

#include "utils/rel.h"

#include "catalog/stream_def.h"

/*
 * Fills in natts, columns and checks of 'def' from an open relation, copied
 * and planned.  Throws for types, modifiers and expressions that are not
 * accepted.
 */
extern void fs_contract_load(FsStreamDef *def, Relation rel);

/* A copy of the expression, planned as 'owner' in a security-restricted context. */
extern Node *fs_contract_plan_as(Node *expr, Oid owner);

/*
 * An immutable expression, planned (constants folded, functions of SQL inlined
 * where they can be) as 'owner' in a security-restricted context, since folding
 * calls functions.  Throws when a function in it is not immutable: 'what'
 * names the expression ("CHECK constraint \"positive\""), 'why' is the detail,
 * 'hint' the way out.
 */
extern Node *fs_contract_plan(Node *expr, Oid owner, const char *what,
							  const char *why, const char *hint);

/* Our number for a type of PostgreSQL; false when streams cannot have it. */
extern bool fs_contract_type(Oid typid, FsType *type);

/* PostgreSQL's type of an array's elements; of any other type that itself. */
extern Oid	fs_contract_element(FsType type);

#endif							/* FS_CATALOG_STREAM_CONTRACT_H */
