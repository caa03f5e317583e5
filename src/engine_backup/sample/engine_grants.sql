-- What administrators grant to other programs on the engine's database; run as the superuser.
GRANT SELECT ON vm_static, vm_dynamic, vds_static, audit_log TO cfme_reader;
GRANT SELECT (option_name, version) ON vdc_options TO cfme_reader;
