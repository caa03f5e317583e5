-- Schema of the sample Data Warehouse: samples of each minute, sums of each hour and day.

CREATE TABLE schema_version (
    id serial PRIMARY KEY, version varchar(10) NOT NULL, script varchar(255) NOT NULL,
    checksum varchar(128), installed_by varchar(30) NOT NULL, started_at timestamp,
    ended_at timestamp, state varchar(15) NOT NULL, current boolean NOT NULL, comment text DEFAULT ''
);
CREATE TABLE history_configuration (
    var_name varchar(50) PRIMARY KEY, var_value varchar(255), var_datetime timestamptz
);
CREATE TABLE host_configuration (
    history_id serial PRIMARY KEY, host_id uuid NOT NULL, host_name varchar(255) NOT NULL, create_date timestamptz
);
CREATE TABLE vm_configuration (
    history_id serial PRIMARY KEY, vm_id uuid NOT NULL, vm_name varchar(255) NOT NULL, create_date timestamptz
);
CREATE TABLE vm_samples_history (
    history_id bigserial PRIMARY KEY,
    history_datetime timestamptz NOT NULL,
    vm_id uuid NOT NULL,
    vm_status smallint NOT NULL,
    minutes_in_status numeric(7,2) NOT NULL DEFAULT 1,
    cpu_usage_percent smallint,
    memory_usage_percent smallint,
    vm_ip text,
    currently_running_on_host uuid,
    vm_configuration_version integer,
    memory_cached_kb bigint
);
CREATE INDEX vm_samples_history_datetime ON vm_samples_history (history_datetime);
CREATE TABLE vm_hourly_history (
    history_id bigserial PRIMARY KEY,
    history_datetime timestamptz NOT NULL,
    vm_id uuid NOT NULL,
    vm_status smallint NOT NULL,
    minutes_in_status numeric(7,2) NOT NULL DEFAULT 60,
    cpu_usage_percent smallint,
    max_cpu_usage smallint,
    memory_usage_percent smallint,
    max_memory_usage smallint,
    currently_running_on_host uuid,
    vm_configuration_version integer
);
CREATE INDEX vm_hourly_history_datetime ON vm_hourly_history (history_datetime);
CREATE TABLE vm_daily_history (LIKE vm_hourly_history INCLUDING DEFAULTS);
CREATE SEQUENCE vm_daily_history_seq OWNED BY vm_daily_history.history_id;
ALTER TABLE vm_daily_history ALTER history_id SET DEFAULT nextval('vm_daily_history_seq'), ADD PRIMARY KEY (history_id);
CREATE TABLE host_samples_history (
    history_id bigserial PRIMARY KEY,
    history_datetime timestamptz NOT NULL,
    host_id uuid NOT NULL,
    host_status smallint NOT NULL,
    cpu_usage_percent smallint,
    memory_usage_percent smallint
);
CREATE TABLE host_hourly_history (
    history_id bigserial PRIMARY KEY,
    history_datetime timestamptz NOT NULL,
    host_id uuid NOT NULL,
    host_status smallint NOT NULL,
    cpu_usage_percent smallint,
    max_cpu_usage smallint
);
CREATE TABLE calendar (the_date date PRIMARY KEY, week_day varchar(12));
CREATE VIEW v4_5_latest_vm_status AS
    SELECT DISTINCT ON (vm_id) vm_id, vm_status, history_datetime
      FROM vm_samples_history ORDER BY vm_id, history_datetime DESC;
