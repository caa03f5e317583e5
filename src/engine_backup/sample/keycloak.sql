-- The identity provider of the sample engine, much shortened.
CREATE TABLE realm (id varchar(36) PRIMARY KEY, name varchar(255) UNIQUE, enabled boolean NOT NULL DEFAULT true);
CREATE TABLE user_entity (
    id varchar(36) PRIMARY KEY, username varchar(255), realm_id varchar(255) REFERENCES realm (id),
    enabled boolean NOT NULL DEFAULT true, created_timestamp bigint, UNIQUE (realm_id, username)
);
CREATE TABLE credential (
    id varchar(36) PRIMARY KEY, user_id varchar(36) REFERENCES user_entity (id), type varchar(255), secret_data text, salt bytea
);
CREATE TABLE databasechangelog (
    id varchar(255) NOT NULL, author varchar(255) NOT NULL, dateexecuted timestamp NOT NULL, orderexecuted integer NOT NULL
);
INSERT INTO realm VALUES ('master', 'master'), ('ovirt-internal', 'ovirt-internal');
INSERT INTO user_entity
    SELECT id::text, CASE n WHEN 1 THEN 'admin@ovirt' ELSE name END, 'ovirt-internal', true, 1717200000000 + n FROM person;
INSERT INTO credential
    SELECT pg_temp.gid('credential', n)::text, id::text, 'password', '{"value":"' || md5('secret' || n) || '"}', decode(md5('salt' || n), 'hex')
      FROM person;
INSERT INTO databasechangelog SELECT 'change-' || n, 'keycloak', '2025-01-01', n FROM generate_series(1, 120) n;
ANALYZE;
