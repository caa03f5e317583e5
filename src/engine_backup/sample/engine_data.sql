-- Content of the sample engine, of the size that the session's settings say.

INSERT INTO schema_version (version, script, checksum, installed_by, started_at, ended_at, state, current, comment)
    SELECT '0405' || lpad((n * 10)::text, 4, '0'), 'upgrade/04_05_' || lpad((n * 10)::text, 4, '0') || '_sample_change_' || n || '.sql',
           md5('script' || n), 'engine', '2025-06-01 10:00', '2025-06-01 10:01', 'INSTALLED', n = 40, ''
      FROM generate_series(1, 40) n;

INSERT INTO vdc_options (option_name, option_value, version, default_value) VALUES
    ('DomainName',                '',               'general', ''),
    ('HostedEngineVmName',        'HostedEngine',   'general', 'HostedEngine'),
    ('VdcVersion',                '4.5.7.0',        'general', '4.5.0.0'),
    ('ProductRPMVersion',         '4.5.7-1.el9',    'general', '4.5.7-1.el9'),
    ('BackupCheckPeriodInHours',  '6',              'general', '6'),
    ('BackupAlertPeriodInDays',   '1',              'general', '1'),
    ('DisableFenceAtStartupInSec', '300',           'general', '300'),
    ('SpiceDefaultProxy',         E'tab\there back\\slash', 'general', ''),
    ('WelcomeText',               E'Grüße, 世界 – “quotes” ’n’ \U0001F600', 'general', ''),
    ('MultiLine',                 E'first\nsecond\r\nthird', 'general', NULL);
INSERT INTO vdc_options (option_name, option_value, version, default_value)
    SELECT 'SampleOption' || lpad(n::text, 3, '0'), pg_temp.dice(n, 1000)::text, version, '0'
      FROM generate_series(1, 150) n, unnest(ARRAY['4.6', '4.7', '4.8']) version;

INSERT INTO storage_pool
    SELECT pg_temp.gid('pool', n), CASE n WHEN 1 THEN 'Default' ELSE 'datacenter-' || n END, 'data centre ' || n, 1,
           pg_temp.gid('host', 1), '4.7', false
      FROM generate_series(1, 1 + pg_temp.size('clusters') / 4) n;
INSERT INTO cluster (cluster_id, name, description, cpu_name, storage_pool_id, compatibility_version)
    SELECT pg_temp.gid('cluster', n), CASE n WHEN 1 THEN 'Default' WHEN 2 THEN 'Büro' ELSE 'cluster-' || n END,
           'cluster no. ' || n, 'Secure Intel Cascadelake Server Family', pg_temp.gid('pool', 1), '4.7'
      FROM generate_series(1, pg_temp.size('clusters')) n;

INSERT INTO vds_static (vds_id, vds_name, vds_unique_id, host_name, cluster_id, free_text_comment)
    SELECT id, name, pg_temp.gid('hardware', n)::text, name || '.lab.example',
           pg_temp.gid('cluster', 1 + n % pg_temp.size('clusters')),
           CASE n WHEN 2 THEN E'rack "B"\tshelf 2\nsecond line' END
      FROM host;
INSERT INTO vds_dynamic (vds_id, status, cpu_cores, physical_mem_mb, vm_count, software_version)
    SELECT id, 3, 48, 393216, (SELECT count(*) FROM vm WHERE vm.host = host.n AND up), '4.50.5.1' FROM host;
INSERT INTO vds_statistics (vds_id, cpu_load, usage_mem_percent, ha_score, ha_configured, ha_active)
    SELECT id, 10 + pg_temp.dice(n, 60), 20 + pg_temp.dice(n * 3, 60), CASE WHEN he THEN 3400 END, he, he
      FROM host, LATERAL (SELECT pg_temp.size('hosted') = 1 AND n <= 2 AS he) hosted;
INSERT INTO vds_interface
    SELECT pg_temp.gid('host nic', host.n * 10 + nic), host.id, 'eno' || nic, CASE nic WHEN 1 THEN 'ovirtmgmt' END,
           '52:54:00:' || to_hex(16 + nic) || ':00:' || lpad(to_hex(host.n % 256), 2, '0'),
           CASE nic WHEN 1 THEN '192.0.2.' || (10 + host.n % 200) END, 25000
      FROM host, generate_series(1, 4) nic;
INSERT INTO vds_spm_id_map SELECT pg_temp.gid('pool', 1), n, id FROM host;
INSERT INTO tags VALUES
    (pg_temp.gid('tag', 0), 'root', 'root', NULL),
    (pg_temp.gid('tag', 1), 'rack-b', 'machines of rack B', pg_temp.gid('tag', 0));
INSERT INTO tags_vds_map SELECT pg_temp.gid('tag', 1), id, pg_temp.past() FROM host WHERE n % 2 = 0;

-- Domain 1 holds the manager's own machine when the engine is hosted; the others hold data.
INSERT INTO storage_domain_static
    SELECT pg_temp.gid('domain', n), pg_temp.gid('connection', n)::text,
           CASE WHEN n > 1 THEN 'data-' || pg_temp.padded(n - 1, 2)
                WHEN pg_temp.size('hosted') = 1 THEN 'hosted_storage' ELSE 'iso' END,
           CASE WHEN n > 2 OR n = 1 AND pg_temp.size('hosted') = 1 THEN 1 WHEN n = 2 THEN 0 ELSE 2 END, 1
      FROM generate_series(1, pg_temp.size('storage_domains')) n;
INSERT INTO storage_domain_dynamic
    SELECT id, 4096, 1024 + pg_temp.dice(row_number() OVER (ORDER BY storage_name), 2048) FROM storage_domain_static;
INSERT INTO storage_pool_iso_map SELECT id, pg_temp.gid('pool', 1), 3 FROM storage_domain_static;
INSERT INTO storage_server_connections (id, connection, storage_type)
    SELECT pg_temp.gid('connection', n)::text, 'nas.lab.example:/exports/' || CASE n WHEN 1 THEN 'he' ELSE 'data' || n END, 1
      FROM generate_series(1, pg_temp.size('storage_domains')) n;
INSERT INTO storage_server_connections (id, connection, iqn, port, storage_type)
    VALUES (pg_temp.gid('connection', 1000)::text, '192.0.2.7', 'iqn.2024-01.example.lab:t1', '3260', 3);
INSERT INTO luns VALUES ('36001405a2b3c4d5e6f708192a3b4c5d6', 'vg-one', 'SERIAL1', 50);
INSERT INTO lun_storage_server_connection_map
    VALUES ('36001405a2b3c4d5e6f708192a3b4c5d6', pg_temp.gid('connection', 1000)::text);

-- Template 0 is the root of all.
INSERT INTO vm_static (vm_guid, vm_name, mem_size_mb, vmt_guid, entity_type, description)
    VALUES ('00000000-0000-0000-0000-000000000000', 'Blank', 1024, '00000000-0000-0000-0000-000000000000',
            'TEMPLATE', 'Blank template');
INSERT INTO vm_static (vm_guid, vm_name, mem_size_mb, vmt_guid, cluster_id, entity_type, description,
                       free_text_comment, auto_startup, lease_sd_id, origin)
    SELECT id, name, 1024 * (1 + pg_temp.dice(n, 32)), '00000000-0000-0000-0000-000000000000',
           pg_temp.gid('cluster', 1 + n % pg_temp.size('clusters')), 'VM',
           CASE WHEN n % 3 = 0 THEN 'serves team ' || pg_temp.pick(n, 'red', 'green', 'blue', 'violet') END,
           CASE n WHEN 5 THEN E'line one\nline two\twith tab\\and backslash' WHEN 6 THEN E'\\.' END,
           n % 4 = 2, CASE WHEN n % 8 = 2 THEN pg_temp.gid('domain', 2) END,
           CASE WHEN name = 'HostedEngine' THEN 6 ELSE 3 END
      FROM vm;
INSERT INTO vm_dynamic (vm_guid, status, vm_ip, run_on_vds, migrating_to_vds, exit_status, exit_reason)
    SELECT vm.id, CASE WHEN up THEN 1 ELSE 0 END,
           CASE WHEN up THEN '198.51.' || (100 + vm.n / 250) || '.' || (1 + vm.n % 250) END,
           CASE WHEN up THEN host.id END,
           CASE WHEN up AND vm.n % 50 = 3 THEN pg_temp.gid('host', 1 + vm.host % pg_temp.size('hosts')) END, 0, -1
      FROM vm JOIN host ON host.n = vm.host;
INSERT INTO vm_statistics
    SELECT id, pg_temp.dice(n, 9000) / 100.0, pg_temp.dice(n * 3, 900) / 100.0, pg_temp.dice(n * 5, 100),
           '[{"path":"/","total":"10737418240","used":"' || 1000000::bigint * pg_temp.dice(n, 9000) || '","fs":"xfs"}]'
      FROM vm;
INSERT INTO vm_interface (id, vm_guid, mac_addr, name)
    SELECT pg_temp.gid('nic', n), id,
           '56:6f:' || regexp_replace(lpad(to_hex(n), 8, '0'), '(..)(..)(..)(..)', '\1:\2:\3:\4'), 'nic1'
      FROM vm;
INSERT INTO network (id, name, description, vlan_id, storage_pool_id) VALUES
    (pg_temp.gid('network', 1), 'ovirtmgmt', 'Management Network', NULL, pg_temp.gid('pool', 1)),
    (pg_temp.gid('network', 2), 'vlan 42', E'back\\slash and ''quote''', 42, pg_temp.gid('pool', 1));

-- The first machine has one disk: a hosted engine is removed with exactly one (reference 3).
CREATE TEMPORARY TABLE disk AS
    SELECT n, pg_temp.gid('disk', n) AS id, CASE WHEN n > vms THEN n - vms + 1 ELSE n END AS vm, (n > vms)::integer AS second
      FROM generate_series(1, pg_temp.size('disks')) n, pg_temp.size('vms') vms;
INSERT INTO base_disks (disk_id, disk_alias, disk_description)
    SELECT disk.id, vm.name || '_Disk' || (1 + disk.second),
           CASE WHEN vm.name = 'HostedEngine' THEN 'Hosted-Engine disk' ELSE '' END
      FROM disk JOIN vm ON vm.n = disk.vm;
INSERT INTO images (image_guid, creation_date, size, it_guid, imagestatus, image_group_id)
    SELECT pg_temp.gid('image', n), pg_temp.past() - n * interval '1 hour', (10 + pg_temp.dice(n, 200)) * 1073741824::bigint,
           '00000000-0000-0000-0000-000000000000', 1, id
      FROM disk;
INSERT INTO image_storage_domain_map
    SELECT pg_temp.gid('image', disk.n),
           pg_temp.gid('domain', CASE vm.name WHEN 'HostedEngine' THEN 1 ELSE 2 + disk.n % (pg_temp.size('storage_domains') - 1) END)
      FROM disk JOIN vm ON vm.n = disk.vm;
INSERT INTO vm_device (device_id, vm_id, type, device, spec_params, is_plugged)
    SELECT disk.id, vm.id, 'disk', 'disk', '{ }', true FROM disk JOIN vm ON vm.n = disk.vm;
INSERT INTO disk_vm_element
    SELECT disk.id, vm.id, disk.second = 0, 'VirtIO_SCSI' FROM disk JOIN vm ON vm.n = disk.vm;
INSERT INTO vm_device (device_id, vm_id, type, device, spec_params, is_plugged)
    SELECT pg_temp.gid(kind, vm.n), vm.id, kind, device, E'{\n  "model" : "' || model || E'"\n}', true
      FROM vm, (VALUES ('interface', 'bridge', 'pv'), ('video', 'vga', 'vga'), ('controller', 'virtio-scsi', 'virtio-scsi'),
                       ('balloon', 'memballoon', 'virtio'), ('rng', 'virtio', 'urandom')) devices (kind, device, model);
INSERT INTO snapshots
    SELECT pg_temp.gid('snapshot', vm.n * 10 + s), vm.id, CASE s WHEN 0 THEN 'ACTIVE' ELSE 'REGULAR' END, 'OK',
           CASE s WHEN 0 THEN 'Active VM' ELSE 'before update ' || s END, pg_temp.past() + s * interval '3 days',
           E'<?xml version="1.0" encoding="UTF-8"?>\n<ovf:Envelope xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1/">\n\t'
           || '<References><File ovf:href="' || pg_temp.gid('image', vm.n) || '" ovf:description="Active VM"/></References>'
           || E'\n\t<Content><Name>' || vm.name || E'</Name>\n\t<path>C:\\temp\\new</path></Content>\n</ovf:Envelope>\n'
      FROM vm, generate_series(0, 2) s
     WHERE s <= vm.n % 3;

INSERT INTO users (user_id, name, surname, domain, username, email, external_id)
    SELECT id, initcap(split_part(name, '.', 1)), initcap(regexp_replace(split_part(name, '.', 2), '\d+$', '')),
           CASE n WHEN 1 THEN 'internal-authz' ELSE 'lab.example-authz' END, name, name || '@lab.example',
           pg_temp.gid('external user', n)::text
      FROM person;
INSERT INTO roles
    SELECT pg_temp.gid('role', n), name, name || ' of the product', true, CASE WHEN n <= 2 THEN 1 ELSE 2 END
      FROM unnest(ARRAY['SuperUser', 'ClusterAdmin', 'UserRole', 'PowerUserRole', 'UserVmManager']) WITH ORDINALITY AS role (name, n);
INSERT INTO permissions VALUES
    (pg_temp.gid('permission', 0), pg_temp.gid('role', 1), pg_temp.gid('user', 1), 'aaa00000-0000-0000-0000-123456789aaa', 1);
INSERT INTO permissions
    SELECT pg_temp.gid('permission', n), pg_temp.gid('role', 3 + n % 3), pg_temp.gid('user', 1 + n % pg_temp.size('users')), id, 2
      FROM vm;
INSERT INTO permissions
    SELECT pg_temp.gid('host permission', n), pg_temp.gid('role', 2), pg_temp.gid('user', 2), id, 3 FROM host;
INSERT INTO engine_sessions (engine_session_id, user_id, user_name, source_ip, start_time)
    SELECT md5('session' || n), id, name, '192.0.2.' || (100 + n % 100), pg_temp.present() - n * interval '7 minutes'
      FROM person WHERE n <= 10;

-- What a restore is expected to empty.
INSERT INTO job
    SELECT pg_temp.gid('job', n), 'AddVm', 'Creating VM ' || pg_temp.vm_name(n), 'STARTED', pg_temp.present() FROM generate_series(1, 4) n;
INSERT INTO job_subject_entity SELECT pg_temp.gid('job', n), pg_temp.gid('vm', n), 'VM' FROM generate_series(1, 4) n;
INSERT INTO step SELECT pg_temp.gid('step', n), pg_temp.gid('job', 1 + n % 4), 'EXECUTING', 'step ' || n, 'STARTED' FROM generate_series(1, 8) n;
INSERT INTO step_subject_entity SELECT pg_temp.gid('step', n), pg_temp.gid('vm', n), 'VM' FROM generate_series(1, 8) n;
INSERT INTO async_tasks SELECT pg_temp.gid('task', n), 230, 2, 0, pg_temp.gid('vdsm task', n) FROM generate_series(1, 3) n;
INSERT INTO async_tasks_entities SELECT pg_temp.gid('task', n), pg_temp.gid('disk', n), 'DISK' FROM generate_series(1, 3) n;
INSERT INTO business_entity_snapshot
    SELECT pg_temp.gid('entity snapshot', n), pg_temp.gid('command', n), pg_temp.gid('vm', n)::text, '{"vm": ' || n || '}', 2
      FROM generate_series(1, 2) n;
INSERT INTO command_entities
    SELECT pg_temp.gid('command', n), 1, E'{\n  "a" : "b\\\\c"\n}', 'ACTIVE', pg_temp.present() FROM generate_series(1, 3) n;
INSERT INTO command_assoc_entities SELECT pg_temp.gid('command', n), pg_temp.gid('vm', n), 'VM' FROM generate_series(1, 3) n;
INSERT INTO image_transfers VALUES (pg_temp.gid('command', 3), 5, pg_temp.gid('disk', 2));

INSERT INTO dwh_history_timekeeping VALUES
    ('firstSync',           'false',                           NULL),
    ('lastSync',            NULL,                              pg_temp.present()),
    ('DwhCurrentlyRunning', '1',                               NULL),
    ('dwhHostname',         'engine.lab.example',              NULL),
    ('dwhUuid',             '5a6f0c1e-0000-4000-8000-00000000d0d0', NULL),
    ('heartBeat',           NULL,                              pg_temp.present());

-- Content on which careless readers of dumps stumble.
INSERT INTO "Odd Names" VALUES
    (1, 'plain',                         decode('00ff10', 'hex')),
    (2, E'new\nline\ttab\\back\x0bvt',   decode('5c2e0a', 'hex')),
    (3, NULL,                            NULL),
    (4, E'\\N',                          decode('', 'hex')),
    (5, E'žluťoučký kůň – 漢字 – \U0001F980', decode('deadbeef', 'hex')),
    (6, 'x ERROR:  this is only text, not an error', NULL),
    (7, 'GRANT ALL ON TABLE audit_log TO nobody_real;', NULL);
INSERT INTO custom_blobs
    SELECT n, decode(repeat(md5('blob' || n), 4), 'hex'), 'blob ' || n FROM generate_series(1, 20) n;

-- Twenty lines a day for each machine, in the product's words.
INSERT INTO audit_log (user_id, user_name, vm_id, vm_name, vds_id, vds_name, log_time, log_type_name, log_type, severity,
                       message, correlation_id)
    SELECT person.id, person.name || '@lab.example', CASE WHEN kind < 12 THEN vm.id END, CASE WHEN kind < 12 THEN vm.name END,
           host.id, host.name,
           pg_temp.past() + (e.n - 1) * ((pg_temp.present() - pg_temp.past()) / pg_temp.size('events')),
           words.name, words.type, words.severity,
           format(words.message, vm.name, person.name || '@lab.example', host.name || '.lab.example',
                  192 + e.n % 60, 20 + pg_temp.dice(e.n, 200),
                  pg_temp.host_name(1 + vm.host % pg_temp.size('hosts'))),
           -- what nobody asked for has none, and the beginning and the end of a thing have the same
           CASE WHEN kind NOT IN (2, 9, 10, 11, 12, 13, 14) THEN pg_temp.gid('correlation', e.n / 4) END
      FROM (SELECT n, 1 + pg_temp.dice(n, pg_temp.size('vms')) AS vm, 1 + pg_temp.dice(n * 7, pg_temp.size('users')) AS person,
                   pg_temp.dice(n * 11, 16) AS kind
              FROM generate_series(1, pg_temp.size('events')) n) e
      JOIN vm ON vm.n = e.vm
      JOIN host ON host.n = vm.host
      JOIN person ON person.n = e.person
      JOIN (VALUES
           (0, 'USER_STARTED_VM', 153, 0, 'VM %1$s was started by %2$s (Host: %3$s).'),
           (1, 'USER_RUN_VM', 32, 0, 'VM %1$s started on Host %3$s'),
           (2, 'VM_DOWN', 61, 0, 'VM %1$s is down. Exit message: User shut down from within the guest'),
           (3, 'VM_MIGRATION_START', 62, 0, 'Migration started (VM: %1$s, Source: %3$s, Destination: %6$s.lab.example, User: %2$s).'),
           (4, 'VM_MIGRATION_DONE', 63, 0,
            'Migration completed (VM: %1$s, Source: %3$s, Destination: %6$s.lab.example, Duration: %5$s seconds, Total: %5$s seconds, Actual downtime: %4$sms)'),
           (5, 'USER_CREATE_SNAPSHOT', 45, 0, 'Snapshot ''nightly'' creation for VM ''%1$s'' was initiated by %2$s.'),
           (6, 'USER_CREATE_SNAPSHOT_FINISHED_SUCCESS', 68, 0, 'Snapshot ''nightly'' creation for VM ''%1$s'' has been completed.'),
           (7, 'USER_REMOVE_SNAPSHOT', 342, 0, 'Snapshot ''nightly'' deletion for VM ''%1$s'' was initiated by %2$s.'),
           (8, 'USER_REMOVE_SNAPSHOT_FINISHED_SUCCESS', 356, 0, 'Snapshot ''nightly'' deletion for VM ''%1$s'' has been completed.'),
           (9, 'VM_CONSOLE_CONNECTED', 167, 0, 'User %2$s is connected to VM %1$s.'),
           (10, 'VM_CONSOLE_DISCONNECTED', 168, 0, 'User %2$s got disconnected from VM %1$s.'),
           (11, 'VM_BALLOON_DRIVER_UNCONTROLLED', 173, 1, 'The Balloon device on VM %1$s on host %3$s is inflated but the device cannot be controlled (guest agent is down).'),
           (12, 'USER_VDC_LOGIN', 30, 0, 'User %2$s connecting from ''192.0.2.%4$s'' using session ''J5b%4$sQx/%5$s=='' logged in.'),
           (13, 'USER_VDC_LOGOUT', 31, 0, 'User %2$s connected from ''192.0.2.%4$s'' using session ''J5b%4$sQx/%5$s=='' logged out.'),
           (14, 'VDS_HIGH_MEM_USE', 519, 1, 'Used memory of host %3$s [9%5$s%%] exceeded defined threshold [95%%].'),
           (15, 'SYSTEM_UPDATE_STORAGE_POOL', 951, 0, 'Data Center Default was updated by %2$s.')
           ) words (kind, name, type, severity, message) USING (kind)
     ORDER BY e.n;
INSERT INTO audit_log (log_time, log_type_name, log_type, severity, message) VALUES
    (pg_temp.present() - interval '1 day', 'ENGINE_NO_FULL_BACKUP', 9022, 1, 'There is no full backup available, please run engine-backup to prevent data loss in case of corruption.'),
    (pg_temp.present() - interval '1 hour', 'VDS_ALERT', 9000, 10, E'multi\nline\ttext with \\ and ''quotes'' – ünï');

SELECT nextval('mac_pool_seq'), nextval('mac_pool_seq');
ANALYZE;
