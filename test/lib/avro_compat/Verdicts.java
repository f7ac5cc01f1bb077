// The verdicts of Apache Avro on the cases of standard input: a line each of name, reader's and
// writer's schema, with tabs between.  Prints a line each of name, verdict, the rules broken, and the
// reader's canonical form; "ambiguous" for a pair that Avro throws at, "invalid" for what it does not take as a schema.
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.TreeSet;
import org.apache.avro.AvroRuntimeException;
import org.apache.avro.Schema;
import org.apache.avro.SchemaCompatibility;
import org.apache.avro.SchemaNormalization;

public class Verdicts {
    private static String judge(String readerText, String writerText) {
        Schema reader;
        Schema writer;
        try {
            reader = new Schema.Parser().parse(readerText);
            writer = new Schema.Parser().parse(writerText);
        } catch (RuntimeException e) {
            return "invalid\t-\t-";
        }
        String form = "\t" + SchemaNormalization.toParsingForm(reader);
        try {
            var result = SchemaCompatibility.checkReaderWriterCompatibility(reader, writer).getResult();
            var rules = new TreeSet<String>();
            for (var wrong : result.getIncompatibilities()) {
                rules.add(wrong.getType().name());
            }
            return result.getCompatibility().name().toLowerCase() + "\t" + (rules.isEmpty() ? "-" : String.join(",", rules))
                + form;
        } catch (AvroRuntimeException e) {
            return "ambiguous\t-" + form;
        }
    }

    public static void main(String[] args) throws Exception {
        var in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        var out = new PrintStream(System.out, false, StandardCharsets.UTF_8);
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            String[] part = line.split("\t");
            out.println(part[0] + "\t" + judge(part[1], part[2]));
        }
        out.flush();
    }
}
