-- Describes the schemas and roles of a database as SQL, with comments in place. Read from PostgreSQL's
-- catalogs, because pg_dump is not everywhere where PostgreSQL is, and its output differs by release.
-- Needs an empty search_path, so that every name is qualified.
WITH namespaces AS (
    -- In the order in which one learns them.
    SELECT n.oid, n.nspname::text AS name, array_position('{catalog,booking}', n.nspname::text) AS place
    FROM pg_namespace AS n
    WHERE n.nspname IN ('catalog', 'booking')
), relations AS (
    SELECT c.*, n.place, format('%I.%I', n.name, c.relname) AS name
    FROM pg_class AS c
    JOIN namespaces AS n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'v', 'c')
), acls AS (
    SELECT c.oid, 0 AS attnum, a.grantee, a.privilege_type
    FROM relations AS c
    CROSS JOIN LATERAL aclexplode(c.relacl) AS a
    WHERE a.grantee <> c.relowner
    UNION ALL
    SELECT c.oid, att.attnum, a.grantee, a.privilege_type
    FROM relations AS c
    JOIN pg_attribute AS att ON att.attrelid = c.oid
    CROSS JOIN LATERAL aclexplode(att.attacl) AS a
), grants AS (
    SELECT
        c.oid,
        a.grantee::regrole::text AS name,
        format('GRANT %s ON %s TO %s;',
            string_agg(a.privilege, ', ' ORDER BY a.privilege COLLATE "C"), c.name, a.grantee::regrole) AS text
    FROM (
        SELECT
            a.oid,
            a.grantee,
            a.privilege_type || coalesce(
                ' (' || string_agg(quote_ident(att.attname), ', ' ORDER BY att.attnum) || ')', ''
            ) AS privilege
        FROM acls AS a
        LEFT JOIN pg_attribute AS att ON a.attnum > 0 AND att.attrelid = a.oid AND att.attnum = a.attnum
        GROUP BY a.oid, a.grantee, a.privilege_type, a.attnum = 0
    ) AS a
    JOIN relations AS c ON c.oid = a.oid
    GROUP BY c.oid, c.name, a.grantee
), parts AS (
    -- The parts of a table, a line or more each.
    SELECT
        c.oid,
        1 AS kind,
        lpad(att.attnum::text, 4) AS place,
        col_description(c.oid, att.attnum) AS note,
        concat_ws(' ',
            quote_ident(att.attname),
            format_type(att.atttypid, att.atttypmod),
            CASE WHEN att.attcollation <> t.typcollation THEN 'COLLATE ' || quote_ident(l.collname) END,
            CASE
                WHEN att.attgenerated <> '' THEN
                    format('GENERATED ALWAYS AS (%s) STORED', pg_get_expr(d.adbin, d.adrelid, true))
                WHEN d.adbin IS NOT NULL THEN 'DEFAULT ' || pg_get_expr(d.adbin, d.adrelid, true)
            END,
            CASE WHEN att.attnotnull THEN 'NOT NULL' END
        ) AS text
    FROM relations AS c
    JOIN pg_attribute AS att ON att.attrelid = c.oid AND att.attnum > 0 AND NOT att.attisdropped
    JOIN pg_type AS t ON t.oid = att.atttypid
    LEFT JOIN pg_collation AS l ON l.oid = att.attcollation
    LEFT JOIN pg_attrdef AS d ON d.adrelid = c.oid AND d.adnum = att.attnum
    WHERE c.relkind IN ('r', 'c')
    UNION ALL
    SELECT
        conrelid,
        2,
        CASE contype WHEN 'p' THEN '1' WHEN 'u' THEN '2' WHEN 'f' THEN '3' ELSE '4' END || conname,
        obj_description(oid, 'pg_constraint'),
        format('CONSTRAINT %I %s', conname, pg_get_constraintdef(oid, true))
    FROM pg_constraint
    WHERE contype IN ('p', 'u', 'f', 'c')
), attached AS (
    -- Objects that belong to a table or a view and are not part of it.
    SELECT i.indrelid AS oid, 1 AS kind, c.relname::text AS name,
        obj_description(c.oid, 'pg_class') AS note, pg_get_indexdef(c.oid, 0, true) || ';' AS text
    FROM pg_index AS i
    JOIN pg_class AS c ON c.oid = i.indexrelid
    WHERE NOT EXISTS (SELECT FROM pg_constraint AS k WHERE k.conindid = c.oid AND k.contype IN ('p', 'u'))
    UNION ALL
    SELECT tgrelid, 2, tgname, obj_description(oid, 'pg_trigger'), pg_get_triggerdef(oid, true) || ';'
    FROM pg_trigger
    WHERE NOT tgisinternal
    UNION ALL
    SELECT oid, 3, name, NULL, text
    FROM grants
), objects (place, kind, name, note, text) AS (
    SELECT n.place, 0, n.name, obj_description(n.oid, 'pg_namespace'),
        format('CREATE SCHEMA %I;', n.name) || coalesce((
            SELECT string_agg(format(E'\nGRANT %s ON SCHEMA %I TO %s;', a.privilege_type, n.name, a.grantee::regrole),
                '' ORDER BY a.grantee::regrole::text COLLATE "C")
            FROM pg_namespace AS own
            CROSS JOIN LATERAL aclexplode(own.nspacl) AS a
            WHERE own.oid = n.oid AND a.grantee <> own.nspowner
        ), '')
    FROM namespaces AS n
    UNION ALL
    SELECT n.place, 1, t.typname, obj_description(t.oid, 'pg_type'),
        format('CREATE TYPE %I.%I AS ENUM (%s);', n.name, t.typname, (
            SELECT string_agg(quote_literal(e.enumlabel), ', ' ORDER BY e.enumsortorder)
            FROM pg_enum AS e WHERE e.enumtypid = t.oid
        ))
    FROM pg_type AS t
    JOIN namespaces AS n ON n.oid = t.typnamespace
    WHERE t.typtype = 'e'
    UNION ALL
    SELECT
        c.place,
        CASE c.relkind WHEN 'c' THEN 4 WHEN 'v' THEN 3 ELSE 2 END,
        c.relname,
        CASE c.relkind
            WHEN 'c' THEN obj_description(c.reltype, 'pg_type') ELSE obj_description(c.oid, 'pg_class')
        END,
        CASE c.relkind
            WHEN 'v' THEN format(E'CREATE VIEW %s AS\n%s', c.name, pg_get_viewdef(c.oid, true))
            ELSE format(E'CREATE %s (\n%s\n)%s;',
                CASE c.relkind WHEN 'c' THEN format('TYPE %s AS', c.name) ELSE 'TABLE ' || c.name END,
                (
                    SELECT string_agg(
                        coalesce(regexp_replace(p.note, '(.{1,93})(?: +|$)', E'    -- \\1\n', 'g'), '')
                            || '    ' || replace(p.text, E'\n', E'\n    '),
                        E',\n' ORDER BY p.kind, p.place COLLATE "C"
                    )
                    FROM parts AS p WHERE p.oid = c.oid
                ),
                ' WITH (' || array_to_string(c.reloptions, ', ') || ')')
        END || coalesce((
            SELECT string_agg(
                coalesce(regexp_replace(a.note, '(.{1,97})(?: +|$)', E'\n-- \\1', 'g'), '') || E'\n' || a.text,
                '' ORDER BY a.kind, a.name COLLATE "C")
            FROM attached AS a WHERE a.oid = c.oid
        ), '')
    FROM relations AS c
    UNION ALL
    SELECT n.place, 5, p.proname, obj_description(p.oid, 'pg_proc'), rtrim(pg_get_functiondef(p.oid), E'\n') || ';'
    FROM pg_proc AS p
    JOIN namespaces AS n ON n.oid = p.pronamespace
    UNION ALL
    SELECT 3, 0, extname, NULL, format('CREATE EXTENSION %I;', extname)
    FROM pg_extension
    WHERE extname = 'pg_trgm'
    UNION ALL
    SELECT 3, 1, r.rolname, NULL,
        format(E'CREATE ROLE %I%s;', r.rolname, CASE WHEN r.rolcanlogin THEN ' LOGIN' END) || coalesce((
            SELECT string_agg(format(E'\nALTER ROLE %I SET %s;', r.rolname, setting), '' ORDER BY setting COLLATE "C")
            FROM pg_db_role_setting AS s
            CROSS JOIN LATERAL unnest(s.setconfig) AS setting
            WHERE s.setrole = r.oid AND s.setdatabase = 0
        ), '')
    FROM pg_roles AS r
    WHERE r.rolname IN ('catalog_svc', 'booking_svc', 'expiry_worker')
)
SELECT string_agg(
    coalesce(regexp_replace(note, '(.{1,97})(?: +|$)', E'-- \\1\n', 'g'), '') || text || E'\n',
    E'\n' ORDER BY place, kind, name COLLATE "C"
)
FROM objects
