"""Runs the queries of one engine, of the release that is installed here, and prints their rows as JSON."""

import json
import sys

import queries


def clickhouse():
    import chdb

    version = str(chdb.query("select version()")).strip().strip('"')

    def run(query):
        rows = str(chdb.query(query, "JSONCompactEachRow")).splitlines()
        return [json.loads(row, parse_float=str) for row in rows]

    return version, queries.CLICKHOUSE, run


def spark():
    from pyspark.sql import SparkSession

    session = SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false").getOrCreate()
    session.sparkContext.setLogLevel("OFF")
    hadoop = session.sparkContext._jvm.org.apache.hadoop.util.VersionInfo.getVersion()

    def run(code):
        names = {"spark": session}
        exec(code, names)
        return [list(row) for row in names["found"].collect()]

    return f"{session.version}, Hadoop {hadoop}", queries.SPARK, run


def main():
    version, wanted, run = {"clickhouse": clickhouse, "spark": spark}[sys.argv[1]]()
    found = {}
    for name, query in wanted.items():
        try:
            found[name] = {"rows": run(query)}
        except Exception as error:
            found[name] = {"error": str(error)}
    with open(sys.argv[2], "w") as out:
        json.dump({"version": version, "found": found}, out, default=str)


if __name__ == "__main__":
    main()
