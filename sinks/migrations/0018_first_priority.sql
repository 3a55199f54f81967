-- What a ticket was before it went up. Rows from before have none; a replay fills them.
ALTER TABLE contacts
    ADD COLUMN IF NOT EXISTS `first_priority` LowCardinality(String) COMMENT 'priority, as said first, before it went up; \'\': none was said by then' AFTER `priority`;

-- SELECT * of a view is frozen at its creation.
CREATE OR REPLACE VIEW contacts_now AS
SELECT * FROM contacts FINAL WHERE is_deleted = 0
SETTINGS use_skip_indexes_if_final_exact_mode = 1
COMMENT 'one support ticket: latest versions';
