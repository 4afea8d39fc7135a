"""The trader's floor and its loops: decide what arrived, send what was planned, ask about what is unknown, book what is told."""
