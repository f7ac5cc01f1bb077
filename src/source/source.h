/*
 * source.h
 *		Where a stream's records come from, behind one small table of operations.
 *
 * Call order, all from the one ingest worker that owns the shard:
 *
 *	open
 *	remember
 *	{ service
 *	  resolve_start for each partition that has no durable position
 *	      ... until its state is FS_PARTITION_RESOLVED; the caller commits that
 *	      position and then calls
 *	  assign for each partition with a durable position
 *	  poll, poll, ...; release }	repeated
 *	close
 *
 * No operation but distance() blocks for longer than 100 ms whatever the peer does, none waits
 * for a peer inside a transaction, and none throws for what a peer or a record
 * does: a broken peer is seen in 'error' and 'state'.  Only open() may throw
 * (a definition that cannot work: wrong option value, missing table).
 */
#ifndef FS_SOURCE_SOURCE_H
#define FS_SOURCE_SOURCE_H

#include "catalog/stream.h"

#define FS_SOURCE_ERROR_SIZE 256
#define FS_SOURCE_CLUSTER_SIZE 64

/* One record as handed out; all pointers are valid until release(). */
typedef struct FsRecord
{
	int32		partition;
	int64		offset;			/* Kafka's offset; the order_by column of a table stream */
	uint64		xid;			/* the xid column of a table stream; 0 for Kafka */
	FsTime		arrival;		/* recorded arrival (LogAppendTime, or the table's arrival column); FS_TIME_MIN: use the clock */
	FsTime		record_time;	/* the record's own timestamp as the peer gives it; FS_TIME_MIN: none */
	const char *key;			/* NULL: no key */
	size_t		key_len;
	const char *value;			/* NULL: tombstone */
	size_t		value_len;
	const char *header;			/* the one that names the value's schema (core/wire_header.h), of streams with a registry; NULL: none */
	size_t		header_len;
	void	   *handle;			/* the source's own */
} FsRecord;

/* Where reading goes on: the first record not yet read. */
typedef struct FsPosition
{
	int64		offset;			/* Kafka: next offset.  Table: order_by of the last row read */
	uint64		xid;			/* Table: xid of the last row read; rows after (xid, offset) come next.  Kafka: 0 */
} FsPosition;

/* Life of a partition; each state lists its successors. */
typedef enum FsPartitionState
{
	FS_PARTITION_FOUND,			/* known to the peer, not read -> RESOLVING, READING, STOPPED */
	FS_PARTITION_RESOLVING,		/* start position asked for -> RESOLVED, STOPPED */
	FS_PARTITION_RESOLVED,		/* 'start' is valid, not read yet -> READING */
	FS_PARTITION_READING,		/* assigned -> STOPPED */
	FS_PARTITION_STOPPED,		/* cannot go on without the operator; 'error' says why (final; the shard makes it durable) */
	FS_PARTITION_PARKED			/* READING, as statistics show it while the worker does not read on; no state of a source's */
} FsPartitionState;

/* What the source knows of a partition; written by the source in service() and poll(). */
typedef struct FsSourcePartition
{
	int32		id;
	FsPartitionState state;
	FsPosition	start;			/* valid when RESOLVED */
	bool		covers_all;		/* RESOLVED: nothing was ever removed before 'start' (log starts at offset 0) */
	bool		starts_live;	/* RESOLVED: nothing was there yet from 'start' on */
	int64		begin_offset;	/* first offset the peer still has; -1 not known */
	int64		end_offset;		/* the peer's end (next offset to be written, last stable one); -1 not known */
	int64		read_to;		/* Kafka, READING: every record below it was handed out; also moves past transaction markers.  Table: PG_INT64_MIN */
	bool		at_end;			/* everything up to the peer's end has been handed out by poll(), as far as the peer has told lately */
	char		error[FS_SOURCE_ERROR_SIZE];	/* STOPPED: the reason, a sentence */
} FsSourcePartition;

/* Base of every source; a source's own struct begins with it. */
typedef struct FsSource
{
	const struct FsSourceOps *ops;
	const FsStreamDef *stream;
	int			npartitions;
	FsSourcePartition *partitions;	/* grows only; sorted by id; index != id in general */
	char		cluster[FS_SOURCE_CLUSTER_SIZE];	/* id of the Kafka cluster that the topic was seen in first; "" not known */
	bool		connected;		/* the peer answered lately */
	char		error[FS_SOURCE_ERROR_SIZE];	/* last trouble with the peer, "" when all is well */
	FsTime		error_time;
} FsSource;

typedef struct FsSourceOps
{
	const char *name;

	/* Starts to connect; returns at once.  Memory is the worker's (TopMemoryContext child). */
	FsSource   *(*open) (const FsStreamDef *stream);

	/*
	 * Tells what an earlier source of the stream knew: there were at least
	 * 'npartitions' partitions, in 'cluster' ("": not known).  Without it a
	 * topic that vanished or shrank meanwhile looked like one not yet made.
	 * NULL: the peer cannot change so.
	 */
	void		(*remember) (FsSource *source, int npartitions, const char *cluster);

	/*
	 * Looks after the peer: serves its events, notices new partitions, lost
	 * retention, recreated topics; updates partitions[], connected and error.
	 * May be called at any time, also while records are handed out.
	 */
	void		(*service) (FsSource *source);

	/*
	 * Asks where a partition without durable position begins.  'from_beginning'
	 * is true for partitions found after the stream's first start; else the
	 * stream's 'start' option decides.
	 */
	void		(*resolve_start) (FsSource *source, int index, bool from_beginning);

	/*
	 * How far it is from one position to another, as progress shows it: offsets
	 * of a topic, rows of a table, which it counts.  That takes as long as it
	 * takes: not for the ingest worker.
	 */
	int64		(*distance) (FsSource *source, int index, FsPosition from, FsPosition to);

	/* Begins to read partition 'index' at 'position'. */
	void		(*assign) (FsSource *source, int index, FsPosition position);

	/*
	 * Hands out up to 'max' records of one partition, in order, without
	 * waiting.  Returns their number; 0 when none is at hand.  Records with an
	 * offset below the position already handed out are dropped here (monotonic
	 * guard).
	 */
	int			(*poll) (FsSource *source, int index, FsRecord *records, int max);

	/* Takes back every record handed out since the last release. */
	void		(*release) (FsSource *source);

	/*
	 * Goes back to a record that the latest poll handed out: it comes again, with
	 * all after it.  The records themselves stay until release().  NULL: no record
	 * of this source has to wait for anything.
	 */
	void		(*rewind) (FsSource *source, int index, int64 offset);

	/*
	 * The record's headers as a JSON array of {"key":…, "value":…} objects in
	 * palloc'd memory (current context), or NULL when it has none.  Those that
	 * would make it longer than 'max' bytes are left out: a last object, of some
	 * bytes more, says how many: {"omitted_headers":…, "omitted_bytes":…}.
	 */
	char	   *(*headers) (FsSource *source, const FsRecord *record, size_t max);

	/*
	 * A file descriptor that becomes readable when there is something to
	 * service or poll, or -1 (then the caller looks every 100 ms or so).  The
	 * source clears it itself in service().
	 */
	int			(*wait_fd) (FsSource *source);

	/* Ends everything within 5 s whatever the peer does.  Also called by an exit callback. */
	void		(*close) (FsSource *source);
} FsSourceOps;

/* The position behind a record, where reading goes on after it. */
static inline FsPosition
fs_source_behind(const FsSource *source, const FsRecord *record)
{
	FsPosition	position = {.offset = record->offset, .xid = record->xid};

	if (source->stream->kind == FS_SOURCE_KAFKA)
		position.offset++;
	return position;
}

/* Less than, equal to or greater than zero: 'a' is before, the same as or behind 'b'. */
static inline int
fs_position_compare(FsPosition a, FsPosition b)
{
	if (a.xid != b.xid)
		return a.xid < b.xid ? -1 : 1;
	return a.offset < b.offset ? -1 : a.offset > b.offset;
}

extern const FsSourceOps fs_source_kafka_ops;
extern const FsSourceOps fs_source_table_ops;

#endif							/* FS_SOURCE_SOURCE_H */
