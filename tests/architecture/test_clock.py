"""F142: what is stored is an instant; that the wall clock is read in one place only is a rule of the linter (TID251)."""

import asyncpg


class TestStoredTime:
    async def test_f142_is_an_instant_in_every_column(self, database):
        connection = await asyncpg.connect(database)
        try:
            without_zone = await connection.fetch(
                """
                SELECT table_name, column_name FROM information_schema.columns
                WHERE table_schema = 'pregao' AND data_type = 'timestamp without time zone'
                """
            )
            instants = await connection.fetchval(
                """
                SELECT count(*) FROM information_schema.columns
                WHERE table_schema = 'pregao' AND data_type = 'timestamp with time zone'
                """
            )
        finally:
            await connection.close()

        assert without_zone == []
        assert instants > 50
