-- Money of alerts of all rules: what the column means, said anew.
ALTER TABLE alerts
    COMMENT COLUMN `value_minor` 'money at stake: what was counted beyond what was expected, at the median value of carts or orders; null: none is known [minor units of currency]';
