"""The words: Avro contracts of the four event families, with examples."""
