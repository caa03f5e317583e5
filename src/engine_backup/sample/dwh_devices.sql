-- What a Data Warehouse keeps besides its machines and hosts: statistics of disks, of interfaces and of
-- storage domains, under the product's names and each with the product's four indexes. Most of a real history
-- lies here, and most of the time of its restore goes into these indexes. For `Size.full_history` only.

CREATE INDEX vm_samples_history_vm_id ON vm_samples_history (vm_id);
CREATE INDEX vm_samples_history_version ON vm_samples_history (vm_configuration_version);
CREATE INDEX vm_hourly_history_vm_id ON vm_hourly_history (vm_id);
CREATE INDEX vm_hourly_history_version ON vm_hourly_history (vm_configuration_version);

CREATE TABLE vm_disk_configuration (
    history_id serial PRIMARY KEY, vm_disk_id uuid NOT NULL, vm_disk_name text, vm_disk_size_mb integer,
    storage_domain_id uuid NOT NULL, create_date timestamptz
);
CREATE TABLE vm_disk_samples_history (
    history_id bigserial PRIMARY KEY,
    history_datetime timestamptz NOT NULL,
    vm_disk_id uuid NOT NULL,
    vm_disk_status smallint NOT NULL,
    minutes_in_status numeric(7,2) NOT NULL DEFAULT 1,
    vm_disk_actual_size_mb integer NOT NULL,
    read_rate_bytes_per_second bigint,
    read_ops_per_second bigint,
    read_latency_seconds numeric(18,9),
    write_rate_bytes_per_second bigint,
    write_ops_per_second bigint,
    write_latency_seconds numeric(18,9),
    flush_latency_seconds numeric(18,9),
    vm_disk_configuration_version integer
);
CREATE TABLE vm_disk_hourly_history (
    LIKE vm_disk_samples_history,
    max_read_rate_bytes_per_second bigint,
    max_write_rate_bytes_per_second bigint
);
CREATE TABLE vm_interface_configuration (
    history_id serial PRIMARY KEY, vm_interface_id uuid NOT NULL, vm_interface_name varchar(50) NOT NULL,
    mac_address varchar(20), create_date timestamptz
);
CREATE TABLE vm_interface_samples_history (
    history_id bigserial PRIMARY KEY,
    history_datetime timestamptz NOT NULL,
    vm_interface_id uuid NOT NULL,
    receive_rate_percent smallint,
    transmit_rate_percent smallint,
    received_total_byte bigint,
    transmitted_total_byte bigint,
    received_dropped_total_packets bigint,
    transmitted_dropped_total_packets bigint,
    vm_interface_configuration_version integer
);
CREATE TABLE vm_interface_hourly_history (
    LIKE vm_interface_samples_history,
    max_receive_rate_percent smallint,
    max_transmit_rate_percent smallint
);
CREATE TABLE vm_disks_usage_samples_history (
    history_id bigserial PRIMARY KEY,
    history_datetime timestamptz NOT NULL,
    vm_id uuid NOT NULL,
    disks_usage text
);
CREATE TABLE storage_domain_samples_history (
    history_id bigserial PRIMARY KEY,
    history_datetime timestamptz NOT NULL,
    storage_domain_id uuid NOT NULL,
    available_disk_size_gb integer,
    used_disk_size_gb integer,
    storage_domain_status smallint
);
CREATE TABLE statistics_vms_users_usage_hourly (
    history_id bigserial PRIMARY KEY,
    history_datetime timestamptz NOT NULL,
    user_id uuid NOT NULL,
    vm_id uuid NOT NULL,
    session_time_in_minutes numeric(7,2) NOT NULL,
    cpu_usage_percent smallint,
    memory_usage_percent smallint,
    user_logged_in_to_guest boolean
);

CREATE TEMPORARY TABLE disk AS
    SELECT n, pg_temp.gid('disk', n) AS id, 1 + (n - 1) % pg_temp.size('vms') AS vm
      FROM generate_series(1, pg_temp.size('disks')) n;
CREATE TEMPORARY TABLE nic AS
    SELECT n, pg_temp.gid('nic', n) AS id FROM generate_series(1, pg_temp.size('vms')) n;
CREATE TEMPORARY TABLE domain AS
    SELECT n, pg_temp.gid('domain', n) AS id FROM generate_series(1, pg_temp.size('storage_domains')) n;
ANALYZE disk, nic, domain;

INSERT INTO vm_disk_configuration (vm_disk_id, vm_disk_name, vm_disk_size_mb, storage_domain_id, create_date)
    SELECT disk.id, vm.name || '_Disk1', 1024 * (10 + pg_temp.dice(disk.n, 200)),
           pg_temp.gid('domain', 2 + disk.n % (pg_temp.size('storage_domains') - 1)), pg_temp.past()
      FROM disk JOIN vm ON vm.n = disk.vm ORDER BY disk.n;
INSERT INTO vm_interface_configuration (vm_interface_id, vm_interface_name, mac_address, create_date)
    SELECT id, 'nic1', '56:6f:' || regexp_replace(lpad(to_hex(n), 8, '0'), '(..)(..)(..)(..)', '\1:\2:\3:\4'), pg_temp.past()
      FROM nic ORDER BY n;

-- Most disks read nothing most of the time, for guests have caches, and write little: logs.
INSERT INTO vm_disk_samples_history (history_datetime, vm_disk_id, vm_disk_status, vm_disk_actual_size_mb,
        read_rate_bytes_per_second, read_ops_per_second, read_latency_seconds, write_rate_bytes_per_second,
        write_ops_per_second, write_latency_seconds, flush_latency_seconds, vm_disk_configuration_version)
    SELECT pg_temp.present() - m * interval '1 minute', id, 1, 10240 + n * 7 % 90000 - m / 60,
           busy * pg_temp.dice(m * 1000 + n, 4000000), busy * pg_temp.dice(m * 1000 + n * 3, 300),
           busy * pg_temp.dice(m + n * 5, 9000) / 1000000.0, 512 * pg_temp.dice(m * 500 + n, 60 + busy * 900),
           pg_temp.dice(m * 500 + n * 3, 9 + busy * 90), (500 + pg_temp.dice(m + n * 11, 900)) / 1000000.0,
           pg_temp.dice(m + n * 13, 300) * busy / 1000000.0, n
      FROM generate_series(pg_temp.size('sample_minutes'), 1, -1) m, disk,
           LATERAL (SELECT (pg_temp.dice(m / 7 + n, 8) = 0)::integer AS busy) activity;
INSERT INTO vm_disk_hourly_history
    SELECT (h - 1) * pg_temp.size('disks') + n, date_trunc('hour', pg_temp.present()) - (pg_temp.size('days') * 24 - h) * interval '1 hour',
           id, 1, 60, 10240 + n * 7 % 90000 - h / 24, busy * pg_temp.dice(h * 1000 + n, 400000), busy * pg_temp.dice(h * 1000 + n * 3, 30),
           busy * pg_temp.dice(h + n * 5, 9000) / 1000000.0, 512 * pg_temp.dice(h * 500 + n, 60 + busy * 900),
           pg_temp.dice(h * 500 + n * 3, 9 + busy * 90), (500 + pg_temp.dice(h + n * 11, 900)) / 1000000.0,
           pg_temp.dice(h + n * 13, 300) * busy / 1000000.0, n,
           busy * (4000000 + pg_temp.dice(h * 77 + n, 8000000)), 512 * (60 + pg_temp.dice(h * 78 + n, 900))
      FROM generate_series(1, pg_temp.size('days') * 24) h, disk,
           LATERAL (SELECT (pg_temp.dice(h / 3 + n, 4) = 0)::integer AS busy) activity;
-- Most of what comes in is the network's own chatter.
INSERT INTO vm_interface_samples_history (history_datetime, vm_interface_id, receive_rate_percent, transmit_rate_percent,
        received_total_byte, transmitted_total_byte, received_dropped_total_packets, transmitted_dropped_total_packets,
        vm_interface_configuration_version)
    SELECT pg_temp.present() - m * interval '1 minute', id, pg_temp.dice(m * 1000 + n, 8), pg_temp.dice(m * 1000 + n * 3, 5),
           (90000 - m) * (60000::bigint + n * 977) + pg_temp.dice(m * 5 + n, 6000),
           (90000 - m) * (20000::bigint + n * 577) + pg_temp.dice(m * 7 + n, 2000), 0, 0, n
      FROM generate_series(pg_temp.size('sample_minutes'), 1, -1) m, nic;
INSERT INTO vm_interface_hourly_history
    SELECT (h - 1) * pg_temp.size('vms') + n, date_trunc('hour', pg_temp.present()) - (pg_temp.size('days') * 24 - h) * interval '1 hour',
           id, pg_temp.dice(h * 1000 + n, 8), pg_temp.dice(h * 1000 + n * 3, 5), h * 60 * (400000::bigint + n * 977),
           h * 60 * (200000::bigint + n * 577), 0, 0, n, 8 + pg_temp.dice(h * 77 + n, 60), 5 + pg_temp.dice(h * 78 + n, 60)
      FROM generate_series(1, pg_temp.size('days') * 24) h, nic;
INSERT INTO vm_disks_usage_samples_history (history_datetime, vm_id, disks_usage)
    SELECT pg_temp.present() - m * interval '1 minute', id,
           '[{"path":"/","total":"10737418240","used":"' || 1000000::bigint * (3000 + pg_temp.dice(m / 9 + n, 4000)) || '","fs":"xfs"},'
           || '{"path":"/boot","total":"1063256064","used":"' || 1000000 * (180 + n % 90) || '","fs":"xfs"}]'
      FROM generate_series(pg_temp.size('sample_minutes'), 1, -1) m, vm;
INSERT INTO storage_domain_samples_history (history_datetime, storage_domain_id, available_disk_size_gb, used_disk_size_gb, storage_domain_status)
    SELECT pg_temp.present() - m * interval '1 minute', id, 4096 - n, 1024 + n * 7 - m / 90, 1
      FROM generate_series(pg_temp.size('sample_minutes'), 1, -1) m, domain;
INSERT INTO statistics_vms_users_usage_hourly (history_datetime, user_id, vm_id, session_time_in_minutes, cpu_usage_percent,
        memory_usage_percent, user_logged_in_to_guest)
    SELECT date_trunc('hour', pg_temp.present()) - h * interval '1 hour', person.id, vm.id, 60, pg_temp.dice(h + vm.n, 60),
           30 + pg_temp.dice(h * 3 + vm.n, 40), vm.n % 3 = 0
      FROM generate_series(pg_temp.size('days') * 24, 1, -1) h, person JOIN vm ON vm.n = person.n;

ALTER TABLE vm_disk_hourly_history ADD PRIMARY KEY (history_id);
ALTER TABLE vm_interface_hourly_history ADD PRIMARY KEY (history_id);
CREATE INDEX vm_disk_samples_history_datetime ON vm_disk_samples_history (history_datetime);
CREATE INDEX vm_disk_samples_history_disk ON vm_disk_samples_history (vm_disk_id);
CREATE INDEX vm_disk_samples_history_version ON vm_disk_samples_history (vm_disk_configuration_version);
CREATE INDEX vm_disk_hourly_history_datetime ON vm_disk_hourly_history (history_datetime);
CREATE INDEX vm_disk_hourly_history_disk ON vm_disk_hourly_history (vm_disk_id);
CREATE INDEX vm_disk_hourly_history_version ON vm_disk_hourly_history (vm_disk_configuration_version);
CREATE INDEX vm_interface_samples_history_datetime ON vm_interface_samples_history (history_datetime);
CREATE INDEX vm_interface_samples_history_interface ON vm_interface_samples_history (vm_interface_id);
CREATE INDEX vm_interface_samples_history_version ON vm_interface_samples_history (vm_interface_configuration_version);
CREATE INDEX vm_interface_hourly_history_datetime ON vm_interface_hourly_history (history_datetime);
CREATE INDEX vm_interface_hourly_history_interface ON vm_interface_hourly_history (vm_interface_id);
CREATE INDEX vm_interface_hourly_history_version ON vm_interface_hourly_history (vm_interface_configuration_version);
CREATE INDEX vm_disks_usage_samples_history_vm ON vm_disks_usage_samples_history (vm_id);
CREATE INDEX storage_domain_samples_history_domain ON storage_domain_samples_history (storage_domain_id);
CREATE INDEX statistics_vms_users_usage_hourly_datetime ON statistics_vms_users_usage_hourly (history_datetime);
CREATE INDEX statistics_vms_users_usage_hourly_vm ON statistics_vms_users_usage_hourly (vm_id);
CREATE INDEX statistics_vms_users_usage_hourly_user ON statistics_vms_users_usage_hourly (user_id);
ANALYZE;
