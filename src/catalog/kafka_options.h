/*
 * kafka_options.h
 *		The librdkafka properties that a user may set, and where.
 *
 * librdkafka properties can load code and run commands
 * (plugin.library.paths, sasl.kerberos.kinit.cmd), read local files
 * (*.location) and undo what exactly-once rests on (auto.offset.reset), so
 * this is a list of what is allowed; everything else is refused.
 *
 * A property is written in SQL with its own dotted name in double quotes, with
 * underscores for the dots ("security_protocol"), or by its alias ("username").
 */
#ifndef FS_CATALOG_KAFKA_OPTIONS_H
#define FS_CATALOG_KAFKA_OPTIONS_H

#include "postgres.h"

/* Which objects may carry an option; a set. */
#define FS_KAFKA_ON_SERVER	1
#define FS_KAFKA_ON_MAPPING	2
#define FS_KAFKA_ON_TABLE	4

typedef enum FsKafkaOptionKind
{
	FS_KAFKA_TEXT,				/* any text that is not empty */
	FS_KAFKA_INT,				/* from min to max */
	FS_KAFKA_BOOL,				/* true or false */
	FS_KAFKA_CHOICE				/* one of choices */
} FsKafkaOptionKind;

typedef struct FsKafkaOption
{
	const char *property;		/* librdkafka's name */
	const char *alias;			/* short SQL name, or NULL */
	int			where;			/* FS_KAFKA_ON_* */
	bool		secret;			/* never show the value */
	bool		superuser;		/* only a superuser may set it: weakens TLS or names a local file */
	FsKafkaOptionKind kind;
	int			min;
	int			max;
	const char *choices;		/* separated by ", " */
} FsKafkaOption;

extern const FsKafkaOption fs_kafka_options[];
extern const int fs_kafka_option_count;

/* The option of this SQL name, or NULL when there is none or it is not allowed. */
extern const FsKafkaOption *fs_kafka_option_find(const char *sql_name);

/*
 * What is wrong with a value: NULL when nothing is, else what it must be, for
 * a message like "value of option \"x\" must be ..." (palloc'd or constant;
 * never holds the value).
 */
extern const char *fs_kafka_option_complaint(const FsKafkaOption *option, const char *value);

#endif							/* FS_CATALOG_KAFKA_OPTIONS_H */
