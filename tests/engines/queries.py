"""The queries of the page, by what they show."""

CLICKHOUSE = {
    "lines": """
select count() from file('data/archive/*/KRW-BTC_trade.2*.zst', JSONEachRow, 'date Date, ts_recv Int64')
""",
    "trades": """
with recorded as (
    select coalesce(sequential_id, sid) as id, coalesce(trade_timestamp, ttms) as millis,
           coalesce(trade_price, tp) as price, coalesce(trade_volume, tv) as volume
    from file('data/archive/*/KRW-BTC_trade.2*.zst', JSONEachRow, 'date Date,
         sequential_id Nullable(Int64), sid Nullable(Int64),
         trade_timestamp Nullable(Int64), ttms Nullable(Int64), trade_price Nullable(Decimal(20, 8)),
         tp Nullable(Decimal(20, 8)), trade_volume Nullable(Decimal(18, 8)), tv Nullable(Decimal(18, 8))')
), healed as (
    select sequential_id as id, timestamp as millis, trade_price as price, trade_volume as volume
    from file('data/archive/*/KRW-BTC_trade.healed.2*.zst', JSONEachRow, 'date Date, sequential_id Int64, timestamp Int64,
         trade_price Decimal(20, 8), trade_volume Decimal(18, 8)')
)
select id, any(millis) as millis, any(price) as price, any(volume) as volume
from (select * from recorded union all select * from healed)
group by id
""",
    "books": """
select ts_recv,
       if(notEmpty(obu), tupleElement(obu[1], 'ap'), tupleElement(orderbook_units[1], 'ask_price')) as ask,
       if(notEmpty(obu), tupleElement(obu[1], 'bp'), tupleElement(orderbook_units[1], 'bid_price')) as bid
from file('data/archive/*/KRW-BTC_orderbook.2*.zst', JSONEachRow, 'date Date, ts_recv Int64,
     orderbook_units Array(Tuple(ask_price Nullable(Decimal(20, 8)), bid_price Nullable(Decimal(20, 8)))),
     obu Array(Tuple(ap Nullable(Decimal(20, 8)), bp Nullable(Decimal(20, 8))))')
""",
    "doubles": """
select ts_recv, tupleElement(orderbook_units[1], 'ask_price'), tupleElement(orderbook_units[1], 'bid_price')
from file('data/archive/*/KRW-BTC_orderbook.2*.zst', JSONEachRow, 'date Date, ts_recv Int64,
     orderbook_units Array(Tuple(ask_price Float64, bid_price Float64))')
where notEmpty(orderbook_units)
""",
    "gaps": """
select id, `from`, `to`, kind
from file('data/archive/*/recorder.2*.zst', JSONEachRow, 'date Date, event String, id Int64,
     `from` Int64, `to` Int64, kind String')
where event = 'gap'
""",
    "dates": """
select date, count() from file('data/archive/*/KRW-BTC_trade.2*.zst', JSONEachRow, 'date Date, ts_recv Int64')
group by date settings use_hive_partitioning = 1
""",
    "guessed": """
select count(), any(trade_price) from file('data/archive/*/KRW-BTC_trade.2*.zst', JSONEachRow)
""",
    "torn": """
select count() from file('data/torn.jsonl', LineAsString, 'line String') where isValidJSON(line)
""",
}

SPARK = {
    "lines": """
tape = spark.read.option("pathGlobFilter", "KRW-BTC_trade.2*.zst").schema("ts_recv LONG").json("data/archive")
found = tape.agg({"*": "count"})
""",
    "trades": """
from pyspark.sql import functions as f

def tape(files, schema):
    return spark.read.option("pathGlobFilter", files).schema(schema).json("data/archive")

recorded = tape("KRW-BTC_trade.2*.zst", \"\"\"sequential_id LONG, sid LONG, trade_timestamp LONG, ttms LONG,
    trade_price DECIMAL(20,8), tp DECIMAL(20,8), trade_volume DECIMAL(18,8), tv DECIMAL(18,8)\"\"\").select(
    f.coalesce("sequential_id", "sid").alias("id"), f.coalesce("trade_timestamp", "ttms").alias("millis"),
    f.coalesce("trade_price", "tp").alias("price"), f.coalesce("trade_volume", "tv").alias("volume"))
healed = tape("KRW-BTC_trade.healed.2*.zst", \"\"\"sequential_id LONG, timestamp LONG, trade_price DECIMAL(20,8),
    trade_volume DECIMAL(18,8)\"\"\").select("sequential_id", "timestamp", "trade_price", "trade_volume")
found = recorded.union(healed).dropDuplicates(["id"])
""",
    "books": """
from pyspark.sql import functions as f

books = spark.read.option("pathGlobFilter", "KRW-BTC_orderbook.2*.zst").schema(\"\"\"ts_recv LONG,
    orderbook_units ARRAY<STRUCT<ask_price: DOUBLE, bid_price: DOUBLE>>, obu ARRAY<STRUCT<ap: DOUBLE, bp: DOUBLE>>\"\"\")
best = books.json("data/archive").selectExpr("ts_recv", "orderbook_units[0] as long", "obu[0] as short")
found = best.select("ts_recv", f.coalesce("long.ask_price", "short.ap"), f.coalesce("long.bid_price", "short.bp"))
""",
    "gaps": """
events = spark.read.option("pathGlobFilter", "recorder.2*.zst").schema(
    "event STRING, id LONG, `from` LONG, `to` LONG, kind STRING").json("data/archive")
found = events.where("event = 'gap'").select("id", "from", "to", "kind")
""",
    "dates": """
tape = spark.read.option("pathGlobFilter", "KRW-BTC_trade.2*.zst").schema("ts_recv LONG, date DATE").json("data/archive")
found = tape.groupBy(tape.date.cast("string")).count()
""",
    "guessed": """
tape = spark.read.option("pathGlobFilter", "KRW-BTC_trade.2*.zst").json("data/archive")
found = tape.selectExpr("count(*)", "max(trade_price)")
""",
    "torn": """
found = spark.read.option("mode", "DROPMALFORMED").schema("ts_recv LONG").json("data/torn.jsonl").where(
    "ts_recv is not null").groupBy().count()
""",
}
