/*
 * compile.h
 *		From the query of a feature view to what the engine computes.
 *
 * fs_view_compile itself is declared in feature_view.h.
 */
#ifndef FS_CATALOG_COMPILE_H
#define FS_CATALOG_COMPILE_H

#include "nodes/parsenodes.h"

/*
 * The stream the query reads.  Throws when its FROM is anything but one
 * stream.  The query has been analyzed.
 */
extern Oid	fs_compile_stream(Query *query);

#endif							/* FS_CATALOG_COMPILE_H */
