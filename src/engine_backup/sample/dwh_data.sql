-- Content of the sample Data Warehouse, of the size that the session's settings say.

INSERT INTO schema_version (version, script, checksum, installed_by, started_at, ended_at, state, current) VALUES
    ('04050010', 'upgrade/04_05_0010_sample_history.sql', md5('h'), 'ovirt_engine_history', '2025-06-01', '2025-06-01', 'INSTALLED', true);
INSERT INTO history_configuration VALUES
    ('default_language', 'us_en', NULL),
    ('MinimalETLVersion', '4.5.7', NULL),
    ('lastHourAggr', NULL, date_trunc('hour', pg_temp.present())),
    ('lastDayAggr', NULL, date_trunc('day', pg_temp.present()));
INSERT INTO host_configuration (host_id, host_name, create_date) SELECT id, name, pg_temp.past() FROM host ORDER BY n;
INSERT INTO vm_configuration (vm_id, vm_name, create_date) SELECT id, name, pg_temp.past() FROM vm ORDER BY n;

INSERT INTO vm_samples_history (history_datetime, vm_id, vm_status, cpu_usage_percent, memory_usage_percent, vm_ip,
                                currently_running_on_host, vm_configuration_version, memory_cached_kb)
    SELECT pg_temp.present() - m * interval '1 minute', vm.id, CASE WHEN up THEN 1 ELSE 0 END,
           pg_temp.dice(m * 1000 + vm.n, 70), 30 + pg_temp.dice(m / 20 + vm.n, 50),
           '198.51.' || (100 + vm.n / 250) || '.' || (1 + vm.n % 250), host.id, vm.n, 1024 * pg_temp.dice(m + vm.n * 77, 90000)
      FROM generate_series(pg_temp.size('sample_minutes'), 1, -1) m, vm JOIN host ON host.n = vm.host;
INSERT INTO vm_hourly_history (history_datetime, vm_id, vm_status, cpu_usage_percent, max_cpu_usage, memory_usage_percent,
                               max_memory_usage, currently_running_on_host, vm_configuration_version)
    SELECT date_trunc('hour', pg_temp.present()) - h * interval '1 hour', vm.id, CASE WHEN up THEN 1 ELSE 0 END,
           pg_temp.dice(h * 1000 + vm.n, 60), 60 + pg_temp.dice(h + vm.n, 40), 30 + pg_temp.dice(h / 20 + vm.n, 40),
           70 + pg_temp.dice(h + vm.n * 3, 30), host.id, vm.n
      FROM generate_series(pg_temp.size('days') * 24, 1, -1) h, vm JOIN host ON host.n = vm.host;
INSERT INTO vm_daily_history (history_datetime, vm_id, vm_status, minutes_in_status, cpu_usage_percent, max_cpu_usage,
                              memory_usage_percent, max_memory_usage, currently_running_on_host, vm_configuration_version)
    SELECT date_trunc('day', history_datetime), vm_id, max(vm_status), sum(minutes_in_status), avg(cpu_usage_percent)::smallint,
           max(max_cpu_usage), avg(memory_usage_percent)::smallint, max(max_memory_usage), currently_running_on_host,
           vm_configuration_version
      FROM vm_hourly_history
     GROUP BY 1, vm_id, currently_running_on_host, vm_configuration_version
     ORDER BY 1, vm_configuration_version;
INSERT INTO host_samples_history (history_datetime, host_id, host_status, cpu_usage_percent, memory_usage_percent)
    SELECT pg_temp.present() - m * interval '1 minute', id, 1, pg_temp.dice(m * 100 + n, 80), 40 + pg_temp.dice(m / 30 + n, 50)
      FROM generate_series(pg_temp.size('sample_minutes'), 1, -1) m, host;
INSERT INTO host_hourly_history (history_datetime, host_id, host_status, cpu_usage_percent, max_cpu_usage)
    SELECT date_trunc('hour', pg_temp.present()) - h * interval '1 hour', id, 1, pg_temp.dice(h * 100 + n, 60), 60 + pg_temp.dice(h + n, 40)
      FROM generate_series(pg_temp.size('days') * 24, 1, -1) h, host;
INSERT INTO calendar
    SELECT d::date, trim(to_char(d, 'Day')) FROM generate_series(timestamp '2026-01-01', timestamp '2026-12-31', interval '1 day') d;
ANALYZE;
