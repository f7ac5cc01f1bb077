import java.util.ArrayList;
import java.util.List;
import org.apache.spark.sql.Column;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.SparkSession;
import org.apache.spark.sql.types.ArrayType;
import org.apache.spark.sql.types.StructField;

import static org.apache.spark.sql.functions.count;
import static org.apache.spark.sql.functions.lit;
import static org.apache.spark.sql.functions.when;

/*
 * A table in a lake, read by Apache Spark with Iceberg's runtime.
 *
 *     LakeSpark.java TABLE DIRECTORY KEY=VALUE ...
 *
 * KEY=VALUE are properties of the session.  Writes all rows to DIRECTORY as
 * Parquet files of Spark's own, for lake.py to compare; says how many rows each
 * snapshot has, oldest first, and how many filters found the same rows when
 * Spark read with them, where statistics decide what is read, as in rows that
 * were read without.
 */
public class LakeSpark
{
	/* Conditions on a column, around a value of a row. */
	static List<Column> conditions(String name, Object value)
	{
		List<Column> all = new ArrayList<>();
		Column column = new Column("`" + name + "`");

		all.add(column.isNull());
		if (value == null)
			return all;
		all.add(column.equalTo(lit(value)));
		all.add(column.lt(lit(value)));
		all.add(column.gt(lit(value)));
		return all;
	}

	/* The conditions on all columns that are no lists, with the values of a row. */
	static List<Column> allConditions(Dataset<Row> table)
	{
		List<Column> all = new ArrayList<>();
		StructField[] fields = table.schema().fields();

		Row row = table.filter("items_clicked_30m IS NOT NULL").orderBy("user_id", "window_end").first();

		for (int i = 0; i < fields.length; i++)
			if (!(fields[i].dataType() instanceof ArrayType))
				all.addAll(conditions(fields[i].name(), row.get(i)));
		return all;
	}

	/* How many rows each condition is true of, by reading all of them once. */
	static Row countAll(Dataset<Row> table, List<Column> conditions)
	{
		Column[] counts = conditions.stream().map(condition -> count(when(condition, 1))).toArray(Column[]::new);

		return table.select(counts).first();
	}

	public static void main(String[] args)
	{
		SparkSession.Builder builder = SparkSession.builder().master("local[1]");

		for (int i = 2; i < args.length; i++)
			builder = builder.config(args[i].substring(0, args[i].indexOf('=')), args[i].substring(args[i].indexOf('=') + 1));
		SparkSession spark = builder.getOrCreate();
		Dataset<Row> table = spark.table(args[0]);

		table.write().parquet(args[1]);
		for (Row snapshot : spark.sql("SELECT snapshot_id FROM " + args[0] + ".snapshots ORDER BY committed_at").collectAsList())
			System.out.println("snapshot " + spark.sql("SELECT * FROM " + args[0] + " VERSION AS OF " + snapshot.getLong(0)).count());

		List<Column> conditions = allConditions(table);
		Row expected = countAll(table, conditions);
		int same = 0;

		for (int i = 0; i < conditions.size(); i++)
		{
			long found = table.filter(conditions.get(i)).count();

			if (found == expected.getLong(i))
				same++;
			else
				System.out.println("differs " + conditions.get(i) + ": " + found + " of " + expected.getLong(i));
		}
		System.out.println("filters " + same + " of " + conditions.size());
		spark.stop();
	}
}
