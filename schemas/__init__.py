"""The words: Avro contracts of the four event families and of what is published, with examples."""
