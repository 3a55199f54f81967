"""The hands: Faust, Kafka, settings, commands; everything that has an effect."""
