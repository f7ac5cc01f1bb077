/*
 * ephemeral.c
 *		Given events as a relation: what a query reads in the place of a stream.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"

#include "catalog/ephemeral.h"

/* See ephemeral.h. */
TupleDesc
fs_ephemeral_desc(const FsStreamDef *stream, const char *const *extra, int nextra)
{
	TupleDesc	desc = CreateTemplateTupleDesc(stream->natts + nextra);

	for (int attno = 1; attno <= stream->natts; attno++)
	{
		int			index = fs_stream_column_index(stream, attno);
		const FsColumn *column;

		if (index < 0)
		{
			TupleDescInitEntry(desc, attno, psprintf("dropped_%d", attno), INT4OID, -1, 0);
			continue;
		}
		column = &stream->columns[index];
		TupleDescInitEntry(desc, attno, column->name, column->typid, column->typmod, 0);
		TupleDescInitEntryCollation(desc, attno, column->collation);
	}
	for (int i = 0; i < nextra; i++)
		TupleDescInitEntry(desc, stream->natts + i + 1, extra[i], INT8OID, -1, 0);
	return desc;
}

/* See ephemeral.h. */
RangeTblEntry *
fs_ephemeral_range(const char *name, TupleDesc desc, double guess)
{
	RangeTblEntry *range = makeNode(RangeTblEntry);

	range->rtekind = RTE_NAMEDTUPLESTORE;
	range->enrname = pstrdup(name);
	range->enrtuples = guess;
	range->eref = makeAlias(name, NIL);
	range->inFromCl = true;
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute column = TupleDescAttr(desc, i);

		range->eref->colnames = lappend(range->eref->colnames,
										makeString(pstrdup(NameStr(column->attname))));
		range->coltypes = lappend_oid(range->coltypes, column->atttypid);
		range->coltypmods = lappend_int(range->coltypmods, column->atttypmod);
		range->colcollations = lappend_oid(range->colcollations, column->attcollation);
	}
	return range;
}

/* See ephemeral.h. */
QueryEnvironment *
fs_ephemeral_environment(const char *name, TupleDesc desc, Tuplestorestate *events)
{
	QueryEnvironment *environment = create_queryEnv();
	EphemeralNamedRelation relation = palloc0(sizeof(EphemeralNamedRelationData));

	relation->md.name = unconstify(char *, name);
	relation->md.reliddesc = InvalidOid;
	relation->md.tupdesc = desc;
	relation->md.enrtype = ENR_NAMED_TUPLESTORE;
	relation->md.enrtuples = tuplestore_tuple_count(events);
	relation->reldata = events;
	register_ENR(environment, relation);
	return environment;
}
