-- The extension's own aggregates, over ordinary tables.
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS feature_stream;
CREATE SCHEMA fs_agg;
SET search_path = fs_agg, feature_stream, public;
SET TimeZone = 'UTC';
SET extra_float_digits = 1;
CREATE COLLATION nocase (provider = icu, locale = 'und-u-ks-level2', deterministic = false);

-- Within 1 % as approx_percentile promises; infinities, NaN and NULL only equal themselves.
CREATE FUNCTION close_to(x float8, y float8) RETURNS boolean IMMUTABLE LANGUAGE sql
    RETURN x IS NOT DISTINCT FROM y OR (abs(x) < 'Infinity' AND abs(y) < 'Infinity' AND abs(x - y) <= 0.01 * abs(y));

-- What they are.
SELECT p.oid::regprocedure AS aggregate, p.prorettype::regtype AS result, p.proparallel AS parallel, a.aggfinalmodify AS final,
       a.aggcombinefn <> 0 AS combine, a.aggserialfn <> 0 AS serial, a.aggdeserialfn <> 0 AS deserial
  FROM pg_aggregate a JOIN pg_proc p ON p.oid = a.aggfnoid WHERE p.pronamespace = 'feature_stream'::regnamespace ORDER BY 1;
-- The schema is the door: PUBLIC may execute the aggregates, and nothing they are made of.
SELECT has_schema_privilege('pg_database_owner', 'feature_stream', 'USAGE') AS schema,
       bool_and(p.proacl IS NULL) FILTER (WHERE p.prokind = 'a') AS aggregates,
       bool_or(p.proacl IS NULL) FILTER (WHERE p.prokind = 'f' AND 'internal'::regtype = ANY (p.proargtypes)) AS support,
       count(*) FILTER (WHERE obj_description(p.oid, 'pg_proc') IS NULL) AS uncommented
  FROM pg_proc p WHERE p.pronamespace = 'feature_stream'::regnamespace;

--
-- Over no rows, over NULLs, over one value.
--
SELECT approx_count_distinct(x), approx_percentile(x, 0.5), top_k(x, 2), approx_top_k(x, 2), first_n(x, 2), last_n(x, 2), distinct_n(x, 2)
  FROM (SELECT 1 AS x WHERE false) t;
SELECT approx_count_distinct(x), approx_percentile(x, 0.5), top_k(x, 2), approx_top_k(x, 2), first_n(x, 2), last_n(x, 2), distinct_n(x, 2)
  FROM (VALUES (NULL::int), (NULL)) t(x);
SELECT approx_count_distinct(x), close_to(approx_percentile(x, 0.5), 7), top_k(x, 2), approx_top_k(x, 2), first_n(x, 2), last_n(x, 2), distinct_n(x, 2)
  FROM (VALUES (7)) t(x);
SELECT top_k(x, 0), approx_top_k(x, 0), first_n(x, 0), last_n(x, 0), distinct_n(x, 0) FROM (VALUES (7), (8)) t(x);
SELECT top_k(x, 0), first_n(x, 0) FROM (VALUES (7)) t(x) WHERE false;

--
-- approx_count_distinct
--
-- Exact up to 512 values, for all types.
CREATE TYPE pair AS (a int, b text);
CREATE TABLE numbers AS SELECT i FROM generate_series(0, 1999) i;
SELECT approx_count_distinct(i % 512) AS "int", approx_count_distinct((i % 512)::int2) AS "int2", approx_count_distinct((i % 512)::int8) AS "int8",
       approx_count_distinct((i % 512)::text) AS "text", approx_count_distinct((i % 512)::numeric) AS "numeric",
       approx_count_distinct((i % 512)::float8) AS "float8", approx_count_distinct((i % 512)::float4) AS "float4",
       approx_count_distinct(date '2024-01-01' + i % 512) AS "date",
       approx_count_distinct(timestamptz '2024-01-01' + (i % 512) * interval '1 s') AS "timestamptz",
       approx_count_distinct(time '00:00' + (i % 512) * interval '1 us') AS "time",
       approx_count_distinct((i % 512) * interval '1 s') AS "interval",
       approx_count_distinct(md5((i % 512)::text)::uuid) AS "uuid",
       approx_count_distinct(ARRAY[i % 512, 1, NULL]) AS "array", approx_count_distinct(to_jsonb(i % 512)) AS "jsonb",
       approx_count_distinct((i % 512)::text::bytea) AS "bytea", approx_count_distinct(i % 2 = 0) AS "boolean",
       approx_count_distinct(int4range(0, i % 512 + 1)) AS "range", approx_count_distinct(ROW(i % 512, 'x')::pair) AS "composite",
       approx_count_distinct((i % 512)::text::name) AS "name", approx_count_distinct((i % 512)::oid) AS "oid"
  FROM numbers \gx
-- Beyond: six standard errors of 1.63 %.
SELECT n, abs(approx_count_distinct(i) - n) <= greatest(0.0978 * n, 1) AS "int",
       abs(approx_count_distinct(i::text) - n) <= greatest(0.0978 * n, 1) AS "text",
       abs(approx_count_distinct(i::float8 / 7) - n) <= greatest(0.0978 * n, 1) AS "float8"
  FROM unnest('{1,10,511,512,513,514,1000,3000,10000,100000}'::int[]) n, generate_series(1, n) i GROUP BY n ORDER BY n;
-- Equal values count once: numerics of any scale, zeros, NaNs, strings by their collation.
SELECT approx_count_distinct(x) FROM unnest('{1.0,1.00,1,1.000}'::numeric[]) x;
SELECT approx_count_distinct(x) FROM unnest('{0,-0,NaN,NaN,Infinity,-Infinity}'::float8[]) x;
SELECT approx_count_distinct(x) AS default, approx_count_distinct(x COLLATE nocase) AS nocase, approx_count_distinct(x COLLATE "C") AS c
  FROM unnest('{a,A,b,B,a}'::text[]) x;
-- 64-bit values whose halves agree: hashint8() gives all of them one hash.
SELECT approx_count_distinct(i << 32 | i) AS "int8", approx_count_distinct(timestamptz '2000-01-01' + make_interval(secs => i * 4294.967297)) AS "timestamptz"
  FROM generate_series(1::bigint, 500) i;
-- FILTER, DISTINCT, GROUP BY, toasted values.
SELECT i % 3 AS g, approx_count_distinct(i % 100) FILTER (WHERE i % 100 < 30) AS filtered, approx_count_distinct(DISTINCT i % 50) AS "distinct",
       approx_count_distinct(repeat((i % 7)::text, 5000)) AS toasted
  FROM numbers GROUP BY 1 ORDER BY 1;
-- Types without an extended hash function, and without a type.
SELECT approx_count_distinct(point(i, i)) FROM numbers;
SELECT approx_count_distinct(ARRAY[point(i, i)]) FROM numbers;
SELECT approx_count_distinct(i::text::json) FROM numbers;
SELECT approx_count_distinct(ROW(i, i)) FROM numbers;
SELECT approx_count_distinct('x');
SELECT approx_count_distinct(*) FROM numbers;
SELECT approx_count_distinct(a || b) FROM (SELECT 'x' COLLATE "C" AS a, 'y' COLLATE "POSIX" AS b) t;

--
-- approx_percentile: as percentile_disc, within 1 %
--
CREATE TABLE samples AS
SELECT s.kind, CASE s.kind WHEN 'uniform' THEN i::float8 WHEN 'exponential' THEN exp(i::float8 / 500) - 500 WHEN 'signed' THEN (i - 5000) ^ 3
                           WHEN 'equal' THEN -2.5 WHEN 'tiny' THEN 1e-300 * i WHEN 'huge' THEN 1e300 * (i + 1) WHEN 'wide' THEN 10.0 ^ (i % 600 - 300) END AS x
  FROM (VALUES ('uniform'), ('exponential'), ('signed'), ('equal'), ('tiny'), ('huge'), ('wide')) s(kind), generate_series(0, 9999) i;
SELECT kind, bool_and(close_to(approx, exact)) AS close, count(*)
  FROM (SELECT kind, p, approx_percentile(x, p) AS approx, percentile_disc(p) WITHIN GROUP (ORDER BY x) AS exact
          FROM samples, unnest('{0,0.0001,0.01,0.1,0.25,0.4999,0.5,0.75,0.9,0.99,0.999,1}'::float8[]) p GROUP BY kind, p) t
 GROUP BY kind ORDER BY kind;
-- The zeros, subnormals (as zero), infinities and NaN, which is the greatest.
SELECT p, approx_percentile(x, p) FROM unnest('{NaN,Infinity,-0,0,-Infinity,1e-310,-1e-310,NaN}'::float8[]) x, generate_series(0, 1, 0.125) p GROUP BY p ORDER BY p;
SELECT p, approx_percentile(x, p) FROM unnest('{1.7976931348623157e308,-1.7976931348623157e308}'::float8[]) x, unnest('{0,1}'::float8[]) p GROUP BY p ORDER BY p;
SELECT approx_percentile(x, 0.5) AS ints FROM generate_series(-1, 1) x;
SELECT close_to(approx_percentile(x, 0.9), 90) AS "numeric", close_to(approx_percentile(DISTINCT x % 10, 1), 9) AS "distinct",
       approx_percentile(x, 0.5) FILTER (WHERE x < 0) AS filtered, close_to(approx_percentile(-x, 0) FILTER (WHERE x < 50), -49) AS least
  FROM (SELECT i::numeric AS x FROM generate_series(1, 100) i) t;
-- p is one for a group, and may differ between groups.
SELECT p, close_to(approx_percentile(x, p), 100 * p) FROM generate_series(1, 100) x, (VALUES (0.25), (0.75)) t(p) GROUP BY p ORDER BY p;
SELECT approx_percentile(x, x / 10.0) FROM generate_series(1, 3) x;
SELECT approx_percentile(CASE WHEN x = 1 THEN 1 END, x / 10.0) FROM generate_series(1, 3) x;
SELECT approx_percentile(x, 1.01) FROM numbers, LATERAL (SELECT i::float8 AS x) t;
SELECT approx_percentile(i, -0.01) FROM numbers;
SELECT approx_percentile(i, 'NaN') FROM numbers;
SELECT approx_percentile(i, NULL) FROM numbers;
SELECT approx_percentile(i, 2) FROM numbers WHERE false;

--
-- top_k and approx_top_k: the same as long as there are few values
--
CREATE TABLE visits AS
SELECT n, 'page ' || chr(97 + least(floor(12 * random()), floor(12 * random()))::int) AS page, n % 2 AS half FROM (SELECT setseed(0.5)) s, generate_series(1, 5000) n;
SELECT top_k(page, 4) = approx_top_k(page, 4) AS same,
       top_k(page, 4) = (SELECT array_agg(page ORDER BY c DESC, page) FROM (SELECT page, count(*) AS c FROM visits GROUP BY page ORDER BY c DESC, page LIMIT 4) t) AS right
  FROM visits;
SELECT top_k(x, 2), approx_top_k(x, 2) FROM unnest('{5,3,3,9,5,9,1}'::int[]) x;
SELECT top_k(x, 3), approx_top_k(x, 3) FROM unnest('{9,8,7,6,5}'::int8[]) x;
SELECT top_k(x, 10) FROM unnest('{b,a,b,NULL,NULL,NULL}'::text[]) x;
SELECT pg_typeof(top_k(i, 1)) AS "int", pg_typeof(top_k(i::int8, 1)) AS "int8", pg_typeof(top_k(i::text, 1)) AS "text", pg_typeof(top_k(i::numeric, 1)) AS "numeric",
       pg_typeof(approx_top_k(md5(i::text)::uuid, 1)) AS "uuid", pg_typeof(approx_top_k(now() + i * interval '1 s', 1)) AS "timestamptz" FROM numbers;
-- Equal values are one, the first of them is shown; ties go by the order of the collation.
SELECT top_k(x, 3) FROM unnest('{2,1.00,1,1.0,3}'::numeric[]) x;
SELECT top_k(x, 4) FROM unnest('{0,NaN,-0,NaN,Infinity,1}'::float8[]) x;
SELECT top_k(x, 2) FROM unnest('{-0,0,1}'::float8[]) x;
SELECT top_k(x COLLATE nocase, 2) AS nocase, top_k(x COLLATE "C", 3) AS c, top_k(x COLLATE "en-x-icu", 3) AS en FROM unnest('{b,a,B,A,c,B}'::text[]) x;
SELECT top_k(x, 3) FROM (VALUES (timestamptz '2024-01-02'), ('2024-01-01'), ('2024-01-02 01:00+01')) t(x);
SELECT top_k(x, 2), approx_top_k(x, 2) FROM (VALUES (uuid '00000000-0000-0000-0000-000000000002'), ('00000000-0000-0000-0000-000000000001')) t(x);
SELECT length(t[1]), left(t[1], 2), length(t[2]), left(t[2], 2) FROM (SELECT top_k(repeat((i % 3)::text || 'x', 4000 + i % 3), 2) AS t FROM numbers) t;
SELECT half, top_k(page, 1) FILTER (WHERE page <> 'page a') AS filtered, top_k(DISTINCT page, 2) AS "distinct", approx_top_k(page, 2) AS two FROM visits GROUP BY half ORDER BY half;
CREATE DOMAIN positive AS int CHECK (VALUE > 0);
SELECT top_k(x::positive, 1), pg_typeof(top_k(x::positive, 1)), first_n(x::positive, 2), approx_count_distinct(x::positive) FROM unnest('{1,2,2}'::int[]) x;
-- Many values: the frequent ones are found, since their counts differ by more than the error of 20,000 / 64.
SELECT approx_top_k(x, 3) AS approximate, top_k(x, 3) AS exact
  FROM (SELECT CASE WHEN i % 10 < 2 THEN -1 WHEN i % 10 < 3 THEN -2 WHEN i % 20 < 7 THEN -3 ELSE i END AS x FROM generate_series(1, 20000) i) t;
SELECT top_k(i, -1) FROM numbers;
SELECT top_k(i, 10001) FROM numbers;
SELECT cardinality(top_k(i, 10000)) FROM numbers;
SELECT approx_top_k(i, NULL) FROM numbers;
SELECT top_k(i, i) FROM numbers;
SELECT approx_top_k(NULL::int, i) FROM numbers;
SELECT top_k(point(i, i), 1) FROM numbers;
SELECT top_k(i::text::xid, 1) FROM numbers;
SELECT top_k(ARRAY[i], 1) FROM numbers;

--
-- first_n, last_n, distinct_n
--
SELECT first_n(x, 3), last_n(x, 3), distinct_n(x, 3) FROM unnest('{NULL,b,b,a,c,a,NULL,d,NULL}'::text[]) x;
SELECT first_n(x, 20), last_n(x, 20), distinct_n(x, 20) FROM unnest('{NULL,b,b,a,c,a,NULL,d,NULL}'::text[]) x;
SELECT first_n(x ORDER BY x DESC), last_n(x, 2 ORDER BY x DESC) FROM generate_series(1, 9) x;
SELECT first_n(x, 2 ORDER BY x DESC), last_n(x, 2 ORDER BY x DESC), distinct_n(x % 3, 2 ORDER BY x DESC), first_n(DISTINCT x % 3, 2),
       last_n(x, 2) FILTER (WHERE x < 5) FROM generate_series(1, 9) x;
SELECT last_n(x, n) = (array_agg(x))[greatest(101 - n, 1):] AS last, first_n(x, n) = (array_agg(x))[:n] AS first, n
  FROM generate_series(1, 100) x, unnest('{1,2,3,4,5,7,64,99,100,101,10000}'::int[]) n GROUP BY n ORDER BY n;
-- Toasted values.
SELECT array_to_string(last_n(x, 3), '') = string_agg(x, '') FILTER (WHERE i > 1996) AS last, array_to_string(first_n(x, 3), '') = string_agg(x, '') FILTER (WHERE i < 3) AS first,
       length(array_to_string(distinct_n(x, 3), '')) AS "distinct"
  FROM (SELECT i, repeat(i::text || ':', 3000) AS x FROM numbers OFFSET 0) t;
CREATE TABLE texts (i int, x text);
ALTER TABLE texts ALTER x SET STORAGE EXTERNAL;
INSERT INTO texts SELECT i, repeat(chr(97 + i % 3), 10000) FROM generate_series(1, 60) i;
SELECT i % 2 AS g, ARRAY(SELECT left(x, 2) || length(x) FROM unnest(last_n(x, 2)) x) AS last, ARRAY(SELECT left(x, 2) || length(x) FROM unnest(top_k(x, 2)) x) AS top,
       ARRAY(SELECT left(x, 2) || length(x) FROM unnest(distinct_n(x, 2)) x) AS "distinct", approx_count_distinct(x) AS n
  FROM texts GROUP BY 1 ORDER BY 1;
SELECT distinct_n(x, 3) FROM unnest('{2,1.00,1,2.0,3,4}'::numeric[]) x;
SELECT distinct_n(x COLLATE nocase, 9) AS nocase, distinct_n(x, 9) AS default FROM unnest('{b,a,B,A,c,B}'::text[]) x;
SELECT pg_typeof(first_n(i::int2, 1)), pg_typeof(last_n(now(), 1)), pg_typeof(distinct_n(i::float8, 1)), first_n(point(i, i), 2), last_n(ROW(i, 'x'::text), 1) FROM numbers;
SELECT i % 2 AS g, first_n(i, 2), last_n(i, 2), distinct_n(i % 6, 9) FROM numbers GROUP BY 1 ORDER BY 1;
SELECT first_n(i, -1) FROM numbers;
SELECT last_n(i, 10001) FROM numbers;
SELECT distinct_n(i, NULL) FROM numbers;
SELECT first_n(i, i) FROM numbers;
SELECT last_n(i, i) FROM numbers;
SELECT distinct_n(NULL::int, i) FROM numbers;
SELECT distinct_n(point(i, i), 2) FROM numbers;
SELECT first_n(ARRAY[i], 2) FROM numbers;

--
-- As window functions: the result is asked for in the middle, and the state goes on.
--
SELECT x, approx_count_distinct(x) OVER w AS n, close_to(approx_percentile(x, 0.5) OVER w, percentile) AS median, top_k(x, 2) OVER w AS top,
       approx_top_k(x, 2) OVER w AS approx_top, first_n(x, 2) OVER w AS first, last_n(x, 2) OVER w AS last, distinct_n(x, 2) OVER w AS distinct
  FROM (VALUES (1, 5, 5), (2, 3, 3), (3, 3, 3), (4, NULL, 3), (5, 5, 3), (6, 5, 5)) t(i, x, percentile) WINDOW w AS (ORDER BY i);
SELECT i, last_n(i, 2) OVER w, top_k(i % 2, 1) OVER w, approx_count_distinct(i) OVER w FROM generate_series(1, 6) i WINDOW w AS (ORDER BY i ROWS 2 PRECEDING);
SELECT count(*) FILTER (WHERE approx <> i) AS wrong FROM (SELECT i, approx_count_distinct(i::text) OVER (ORDER BY i) AS approx FROM generate_series(1, 512) i) t;
SELECT bool_and(f) FROM (SELECT abs(approx_count_distinct(i) OVER (ORDER BY i) - i) <= greatest(0.0978 * i, 1) AS f FROM generate_series(1, 3000) i) t;

--
-- In parallel: the same as in one process.
--
CREATE TABLE readings AS
SELECT i, i % 7 AS g, (i::bigint * 7919) % 20011 AS v, 'key ' || (i * 31 % 40009) AS t, ((i % 1000) - 500) / 3.0 AS x,
       CASE WHEN i % 11 = 0 THEN NULL ELSE (i % 37)::numeric / 10 END AS few, md5((i % 9)::text)::uuid AS u
  FROM generate_series(1, 60000) i;
ANALYZE readings;
CREATE VIEW features AS
SELECT g, approx_count_distinct(v) AS n_v, approx_count_distinct(t) AS n_t, approx_count_distinct(few) AS n_few, approx_percentile(x, 0.37) AS p_x,
       approx_percentile(-v, 0.999) AS p_v, top_k(few, 5) AS top_few, approx_top_k(few, 5) AS approx_top_few, top_k(t, 3) AS top_t, approx_top_k(u, 4) AS top_u,
       top_k(v::int2, 2) AS top_v, top_k(i::text::name, 2) AS top_i
  FROM readings GROUP BY g;
CREATE VIEW features_of_all AS
SELECT approx_count_distinct(v) AS n_v, approx_count_distinct(t) AS n_t, approx_percentile(x, 0.37) AS p_x, top_k(few, 5) AS top_few, approx_top_k(u, 4) AS top_u,
       top_k(t, 3) AS top_t FROM readings;
CREATE TABLE serial AS TABLE features;
CREATE TABLE serial_of_all AS TABLE features_of_all;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SET max_parallel_workers_per_gather = 3;
SET parallel_leader_participation = off;
EXPLAIN (COSTS OFF) TABLE features;
EXPLAIN (COSTS OFF) TABLE features_of_all;
SELECT (SELECT count(*) FROM features) AS groups, (SELECT count(*) FROM (TABLE serial EXCEPT TABLE features) t) AS differ;
SELECT (SELECT count(*) FROM features_of_all) AS groups, (SELECT count(*) FROM (TABLE serial_of_all EXCEPT TABLE features_of_all) t) AS differ;
-- Order matters to these: rows are gathered first.
EXPLAIN (COSTS OFF) SELECT first_n(v, 2), last_n(v, 2), distinct_n(v, 2), top_k(few, 5) FROM readings;
-- Workers that see no row or only NULLs.
SELECT approx_count_distinct(v), approx_percentile(x, 0.5), top_k(v, 1), approx_top_k(v, 1) FROM readings WHERE i < 0;
SELECT approx_count_distinct(few), approx_percentile(few, 0.5), top_k(few, 1), approx_top_k(few, 1) FROM readings WHERE i % 11 = 0;
SELECT approx_count_distinct(v), top_k(v, 1), approx_top_k(t, 1) FROM readings WHERE i = 59999;
-- A collation goes along.
SELECT top_k(upper(u::text) COLLATE nocase, 2) = top_k(u::text COLLATE nocase, 2) AS nocase, approx_count_distinct(CASE WHEN i % 2 = 0 THEN upper(u::text) ELSE u::text END COLLATE nocase) AS n,
       cardinality(top_k(CASE WHEN i % 2 = 0 THEN upper(u::text) ELSE u::text END COLLATE nocase, 20)) AS k FROM readings;
-- An approximate count in every worker: the frequent ones stay.
SELECT approx_top_k(CASE WHEN i % 10 < 2 THEN '-1' WHEN i % 10 < 3 THEN '-2' ELSE t END, 2) FROM readings;
-- p and k must be the same in all workers.
SELECT approx_percentile(x, g / 10.0) FROM readings;
SELECT top_k(v, g::int) FROM readings;
RESET parallel_leader_participation;
SET max_parallel_workers_per_gather = 0;
-- Partial states without serialisation: per partition.
CREATE TABLE parted (i int, v text) PARTITION BY RANGE (i);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO (500);
CREATE TABLE parted_2 PARTITION OF parted FOR VALUES FROM (500) TO (5000);
INSERT INTO parted SELECT i, 'v' || i % 300 FROM generate_series(0, 999) i;
SET enable_partitionwise_aggregate = on;
SET enable_hashagg = off;
EXPLAIN (COSTS OFF) SELECT v, approx_count_distinct(i) FROM parted GROUP BY v;
SELECT count(*), bool_and(n >= 3) AS n, bool_and(t = ARRAY[v]) AS top, bool_and(close_to(p, 450)) AS close
  FROM (SELECT v, approx_count_distinct(i) AS n, top_k(v, 2) AS t, approx_percentile(CASE WHEN i < 600 THEN 450 ELSE i END, 0.5) AS p FROM parted GROUP BY v) s;
RESET enable_hashagg;
RESET enable_partitionwise_aggregate;

--
-- Not for others: nothing calls a support function by hand; who has no right to the schema.
--
-- (Which error it is depends on the minor release.)
CREATE FUNCTION fails(query text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE query;
    RETURN false;
EXCEPTION WHEN undefined_function OR feature_not_supported OR cannot_coerce THEN
    RETURN true;
END $$;
SELECT fails('SELECT feature_stream.top_k_trans(NULL, 1, 1)');
SELECT fails('SELECT feature_stream.approx_count_distinct_final(NULL)');
SELECT fails('SELECT feature_stream.approx_count_distinct_deserial(''\x4801'', NULL)');
SELECT fails('SELECT feature_stream.approx_count_distinct_deserial(''\x4801''::bytea, ''x''::internal)');
CREATE ROLE fs_agg_user;
GRANT USAGE ON SCHEMA fs_agg TO fs_agg_user;
SET ROLE fs_agg_user;
SELECT feature_stream.approx_count_distinct(1);
RESET ROLE;
GRANT USAGE ON SCHEMA feature_stream TO fs_agg_user;
SET ROLE fs_agg_user;
SELECT feature_stream.approx_count_distinct(1), feature_stream.top_k(1, 1), feature_stream.first_n(1, 1);
RESET ROLE;
REVOKE USAGE ON SCHEMA feature_stream FROM fs_agg_user;
DROP SCHEMA fs_agg CASCADE;
DROP ROLE fs_agg_user;
