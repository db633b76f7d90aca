// franz-go (kgo, with kadm for topics) against Levada: by partition without a group, and as a member of one.
package main

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"os"
	"sort"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	// How long anything may take before the program gives up.
	patience = 60 * time.Second
	// How many records may wait for their acknowledgement here.
	inFlight = 1000
)

type entry struct {
	key   string
	value []byte
}

type options struct {
	bootstrap, topic, compression, corpus string
}

func main() {
	if len(os.Args) < 2 {
		fail("usage: client PHASE --bootstrap HOST:PORT --topic TOPIC --compression TYPE --corpus FILE")
	}
	if os.Args[1] == "member" {
		member(os.Args[2:])
		return
	}
	var o options
	flags := flag.NewFlagSet("client", flag.ExitOnError)
	flags.StringVar(&o.bootstrap, "bootstrap", "", "host:port")
	flags.StringVar(&o.topic, "topic", "", "topic")
	flags.StringVar(&o.compression, "compression", "none", "compression type")
	flags.StringVar(&o.corpus, "corpus", "", "list of the corpus")
	must(flags.Parse(os.Args[2:]))
	corpus := load(o.corpus)
	switch phase := os.Args[1]; phase {
	case "produce":
		createTopic(o)
		produce(o, corpus, false)
	case "produce-endlessly":
		produce(o, corpus, true)
	case "verify":
		verify(o, corpus)
	default:
		fail("no phase " + phase)
	}
}

func load(path string) []entry {
	file, err := os.Open(path)
	must(err)
	defer file.Close()
	var corpus []entry
	for lines := bufio.NewScanner(file); lines.Scan(); {
		key, path, _ := strings.Cut(lines.Text(), "\t")
		value, err := os.ReadFile(path)
		must(err)
		corpus = append(corpus, entry{key, value})
	}
	return corpus
}

func connect(o options, more ...kgo.Opt) *kgo.Client {
	client, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(o.bootstrap)}, more...)...)
	must(err)
	return client
}

func createTopic(o options) {
	client := connect(o)
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	created, err := kadm.NewClient(client).CreateTopic(ctx, 3, 1, nil, o.topic)
	must(err)
	must(created.Err)
}

func produce(o options, corpus []entry, endless bool) {
	codec := map[string]kgo.CompressionCodec{
		"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(),
		"lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
	}[o.compression]
	client := connect(o, kgo.ProducerBatchCompression(codec), kgo.RequiredAcks(kgo.AllISRAcks()),
		kgo.MaxBufferedRecords(inFlight), kgo.RecordDeliveryTimeout(patience))
	defer client.Close()
	out := bufio.NewWriter(os.Stdout)
	ctx := context.Background()
	for {
		for index, e := range corpus {
			record := &kgo.Record{Topic: o.topic, Key: []byte(e.key), Value: e.value}
			client.Produce(ctx, record, func(r *kgo.Record, err error) {
				must(err)
				if endless {
					// Callbacks of one client come one at a time.
					fmt.Fprintf(out, "%d %d %d .\n", r.Partition, r.Offset, index)
					must(out.Flush())
				}
			})
		}
		if !endless {
			break
		}
	}
	must(client.Flush(ctx))
}

func verify(o options, corpus []entry) {
	expected := make(map[string][]byte, len(corpus))
	for _, e := range corpus {
		expected[e.key] = e.value
	}
	client := connect(o)
	defer client.Close()
	admin := kadm.NewClient(client)
	ctx, cancel := context.WithTimeout(context.Background(), 10*patience)
	defer cancel()
	starts, err := admin.ListStartOffsets(ctx, o.topic)
	must(err)
	must(starts.Error())
	ends, err := admin.ListEndOffsets(ctx, o.topic)
	must(err)
	must(ends.Error())
	check(len(ends[o.topic]) == 3, "%s has %d partitions", o.topic, len(ends[o.topic]))

	for partition, end := range ends[o.topic] {
		start, _ := starts.Lookup(o.topic, partition)
		var records []*kgo.Record
		read(ctx, o, partition, start.Offset, end.Offset, func(r *kgo.Record) {
			due := start.Offset + int64(len(records))
			check(r.Offset == due, "%s-%d: offset %d came, %d was due", o.topic, partition, r.Offset, due)
			value, known := expected[string(r.Key)]
			check(known && string(value) == string(r.Value), "%s-%d offset %d: %q twice, unknown or changed",
				o.topic, partition, r.Offset, r.Key)
			delete(expected, string(r.Key))
			records = append(records, &kgo.Record{Offset: r.Offset, Timestamp: r.Timestamp})
		})
		if len(records) > 0 {
			seekByOffset(ctx, o, partition, records)
			seekByTime(ctx, o, admin, partition, records)
		}
	}
	check(len(expected) == 0, "%d records did not come back", len(expected))
}

// Reads a partition from start up to but without end.
func read(ctx context.Context, o options, partition int32, start, end int64, each func(*kgo.Record)) {
	if start >= end {
		return
	}
	from := map[string]map[int32]kgo.Offset{o.topic: {partition: kgo.NewOffset().At(start)}}
	client := connect(o, kgo.ConsumePartitions(from), kgo.FetchMaxWait(20*time.Millisecond))
	defer client.Close()
	for start < end {
		fetches := client.PollFetches(ctx)
		must(fetches.Err())
		fetches.EachRecord(func(r *kgo.Record) {
			if r.Offset < end {
				each(r)
			}
			start = r.Offset + 1
		})
	}
}

func seekByOffset(ctx context.Context, o options, partition int32, records []*kgo.Record) {
	for _, wanted := range []*kgo.Record{records[0], records[len(records)/2], records[len(records)-1]} {
		found := int64(-1)
		read(ctx, o, partition, wanted.Offset, wanted.Offset+1, func(r *kgo.Record) { found = r.Offset })
		check(found == wanted.Offset, "%s-%d: seeking to %d gave %d", o.topic, partition, wanted.Offset, found)
	}
}

func seekByTime(ctx context.Context, o options, admin *kadm.Client, partition int32, records []*kgo.Record) {
	var times []int64
	for _, r := range records {
		times = append(times, r.Timestamp.UnixMilli())
	}
	sort.Slice(times, func(i, j int) bool { return times[i] < times[j] })
	last := times[len(times)-1]
	for _, wanted := range []int64{times[0] - 1, times[len(times)/2], last} {
		expected := int64(-1)
		for _, r := range records {
			if r.Timestamp.UnixMilli() >= wanted {
				expected = r.Offset
				break
			}
		}
		found, err := admin.ListOffsetsAfterMilli(ctx, wanted, o.topic)
		must(err)
		offset, _ := found.Lookup(o.topic, partition)
		must(offset.Err)
		check(offset.Offset == expected, "%s-%d at time %d: %d, and %d is right",
			o.topic, partition, wanted, offset.Offset, expected)
	}
}

func check(condition bool, format string, args ...any) {
	if !condition {
		fail(fmt.Sprintf(format, args...))
	}
}

func must(err error) {
	if err != nil {
		fail(err.Error())
	}
}

func fail(message string) {
	fmt.Fprintln(os.Stderr, message)
	os.Exit(1)
}
