-- Functions of the session that fills a database; they vanish with it. Sizes come as settings sample.*.

-- A number of the size: sample.vms, sample.days and so on.
CREATE FUNCTION pg_temp.size(name text) RETURNS integer LANGUAGE sql STABLE
    AS $$SELECT current_setting('sample.' || $1)::integer$$;

-- The id of the n-th thing of a kind: readable keys, the same on every server.
CREATE FUNCTION pg_temp.gid(kind text, n bigint) RETURNS uuid LANGUAGE sql STABLE
    AS $$SELECT md5('sample/' || current_setting('sample.seed') || '/' || $1 || '/' || $2)::uuid$$;

-- An even-looking number from 0 to sides - 1 (multiplicative hashing, so the same on every server).
CREATE FUNCTION pg_temp.dice(n bigint, sides integer) RETURNS integer LANGUAGE sql IMMUTABLE
    AS $$SELECT ((($1 * 2654435761 + 974711) & 4294967295) >> 9)::integer % $2$$;

CREATE FUNCTION pg_temp.pick(n bigint, VARIADIC choices text[]) RETURNS text LANGUAGE sql IMMUTABLE
    AS $$SELECT $2[1 + pg_temp.dice($1, cardinality($2))]$$;

-- The moment at which the sample engine stands still.
CREATE FUNCTION pg_temp.present() RETURNS timestamptz LANGUAGE sql IMMUTABLE
    AS $$SELECT '2026-05-31 23:00:00+00'::timestamptz$$;

CREATE FUNCTION pg_temp.past() RETURNS timestamptz LANGUAGE sql STABLE
    AS $$SELECT pg_temp.present() - pg_temp.size('days') * interval '1 day'$$;

-- A number with zeros before it; longer ones stay whole, which lpad alone would cut.
CREATE FUNCTION pg_temp.padded(n bigint, digits integer) RETURNS text LANGUAGE sql IMMUTABLE
    AS $$SELECT lpad($1::text, greatest($2, length($1::text)), '0')$$;

CREATE FUNCTION pg_temp.host_name(n bigint) RETURNS text LANGUAGE sql IMMUTABLE
    AS $$SELECT 'host-' || pg_temp.padded($1, 2)$$;

CREATE FUNCTION pg_temp.vm_name(n bigint) RETURNS text LANGUAGE sql STABLE
    AS $$SELECT CASE WHEN $1 = 1 AND pg_temp.size('hosted') = 1 THEN 'HostedEngine'
                     WHEN $1 = 7 THEN 'größer-☃-007'
                     ELSE pg_temp.pick($1, 'web', 'db', 'app', 'mail', 'cache', 'build', 'files', 'proxy')
                          || '-' || pg_temp.pick($1 * 31, 'prod', 'prod', 'stage', 'test')
                          || '-' || pg_temp.padded($1, 3) END$$;

CREATE FUNCTION pg_temp.user_name(n bigint) RETURNS text LANGUAGE sql IMMUTABLE
    AS $$SELECT CASE $1 WHEN 1 THEN 'admin' ELSE
            pg_temp.pick($1, 'anna', 'boris', 'chen', 'dana', 'elif', 'farid', 'greta', 'hugo') || '.'
            || pg_temp.pick($1 * 17, 'adams', 'berger', 'costa', 'dvorak', 'eriksen', 'fontaine', 'garcia')
            || $1 END$$;

CREATE TEMPORARY TABLE vm AS
    SELECT n, pg_temp.gid('vm', n) AS id, pg_temp.vm_name(n) AS name,
           1 + pg_temp.dice(n, pg_temp.size('hosts')) AS host,
           n = 1 OR pg_temp.dice(n * 13, 10) < 8 AS up
      FROM generate_series(1, pg_temp.size('vms')) n;
CREATE TEMPORARY TABLE host AS
    SELECT n, pg_temp.gid('host', n) AS id, pg_temp.host_name(n) AS name
      FROM generate_series(1, pg_temp.size('hosts')) n;
CREATE TEMPORARY TABLE person AS
    SELECT n, pg_temp.gid('user', n) AS id, pg_temp.user_name(n) AS name
      FROM generate_series(1, pg_temp.size('users')) n;
ANALYZE vm, host, person;
