"""The writing: tables of ClickHouse and what is written into them."""
