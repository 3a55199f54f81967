-- Counts of all folds: what the columns mean, said anew.
ALTER TABLE rollups
    COMMENT COLUMN `interval_at` 'start of the interval in which the step was reached, the wait began or the signal fired [UTC]',
    COMMENT COLUMN `source` 'fold that counts: sessions, fulfilment, journeys',
    COMMENT COLUMN `matures_at` 'when every wait that is counted can have been decided [UTC]';
