// sarama against Levada: by partition without a group, and as a member of one.
package main

import (
	"bufio"
	"flag"
	"fmt"
	"os"
	"sort"
	"strings"
	"time"

	"github.com/IBM/sarama"
)

// How long anything may take before the program gives up.
const patience = 60 * time.Second

type entry struct {
	key   string
	value []byte
}

type stored struct {
	offset, timestamp int64
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

// What sarama does by itself, but for what the phases ask.
func config(o options) *sarama.Config {
	c := sarama.NewConfig()
	c.Producer.RequiredAcks = sarama.WaitForAll
	c.Producer.Return.Successes = true
	must(c.Producer.Compression.UnmarshalText([]byte(o.compression)))
	c.Consumer.MaxWaitTime = 20 * time.Millisecond
	c.Consumer.Return.Errors = true
	return c
}

func createTopic(o options) {
	admin, err := sarama.NewClusterAdmin([]string{o.bootstrap}, config(o))
	must(err)
	defer admin.Close()
	must(admin.CreateTopic(o.topic, &sarama.TopicDetail{NumPartitions: 3, ReplicationFactor: 1}, false))
}

func produce(o options, corpus []entry, endless bool) {
	producer, err := sarama.NewAsyncProducer([]string{o.bootstrap}, config(o))
	must(err)
	done := make(chan int)
	go func() {
		acknowledged := 0
		out := bufio.NewWriter(os.Stdout)
		for m := range producer.Successes() {
			acknowledged++
			if endless {
				fmt.Fprintf(out, "%d %d %d .\n", m.Partition, m.Offset, m.Metadata.(int))
				must(out.Flush())
			}
		}
		done <- acknowledged
	}()
	go func() {
		for failure := range producer.Errors() {
			must(failure)
		}
	}()
	for {
		for index, e := range corpus {
			producer.Input() <- &sarama.ProducerMessage{
				Topic: o.topic, Key: sarama.StringEncoder(e.key), Value: sarama.ByteEncoder(e.value), Metadata: index,
			}
		}
		if !endless {
			break
		}
	}
	producer.AsyncClose()
	acknowledged := <-done
	check(acknowledged == len(corpus), "%d of %d records were acknowledged", acknowledged, len(corpus))
}

func verify(o options, corpus []entry) {
	expected := make(map[string][]byte, len(corpus))
	for _, e := range corpus {
		expected[e.key] = e.value
	}
	client, err := sarama.NewClient([]string{o.bootstrap}, config(o))
	must(err)
	defer client.Close()
	partitions, err := client.Partitions(o.topic)
	must(err)
	check(len(partitions) == 3, "%s has %d partitions", o.topic, len(partitions))

	for _, partition := range partitions {
		start, end := offset(client, o, partition, sarama.OffsetOldest), offset(client, o, partition, sarama.OffsetNewest)
		var records []stored
		read(client, o, partition, start, end, func(m *sarama.ConsumerMessage) {
			due := start + int64(len(records))
			check(m.Offset == due, "%s-%d: offset %d came, %d was due", o.topic, partition, m.Offset, due)
			value, known := expected[string(m.Key)]
			check(known && string(value) == string(m.Value), "%s-%d offset %d: %q twice, unknown or changed",
				o.topic, partition, m.Offset, m.Key)
			delete(expected, string(m.Key))
			records = append(records, stored{m.Offset, m.Timestamp.UnixMilli()})
		})
		if len(records) > 0 {
			seekByOffset(client, o, partition, records)
			seekByTime(client, o, partition, records)
		}
	}
	check(len(expected) == 0, "%d records did not come back", len(expected))
}

func offset(client sarama.Client, o options, partition int32, time int64) int64 {
	found, err := client.GetOffset(o.topic, partition, time)
	must(err)
	return found
}

// Reads a partition from start up to but without end.
func read(client sarama.Client, o options, partition int32, start, end int64, each func(*sarama.ConsumerMessage)) {
	if start >= end {
		return
	}
	consumer, err := sarama.NewConsumerFromClient(client)
	must(err)
	partitioned, err := consumer.ConsumePartition(o.topic, partition, start)
	must(err)
	for start < end {
		select {
		case m := <-partitioned.Messages():
			if m.Offset < end {
				each(m)
			}
			start = m.Offset + 1
		case failure := <-partitioned.Errors():
			must(failure)
		case <-time.After(patience):
			fail(fmt.Sprintf("nothing came from %s-%d at %d", o.topic, partition, start))
		}
	}
	must(partitioned.Close())
	must(consumer.Close())
}

func seekByOffset(client sarama.Client, o options, partition int32, records []stored) {
	for _, wanted := range []stored{records[0], records[len(records)/2], records[len(records)-1]} {
		found := int64(-1)
		read(client, o, partition, wanted.offset, wanted.offset+1, func(m *sarama.ConsumerMessage) { found = m.Offset })
		check(found == wanted.offset, "%s-%d: seeking to %d gave %d", o.topic, partition, wanted.offset, found)
	}
}

func seekByTime(client sarama.Client, o options, partition int32, records []stored) {
	var times []int64
	for _, r := range records {
		times = append(times, r.timestamp)
	}
	sort.Slice(times, func(i, j int) bool { return times[i] < times[j] })
	last := times[len(times)-1]
	for _, wanted := range []int64{times[0] - 1, times[len(times)/2], last, last + 1} {
		expected := int64(-1)
		for _, r := range records {
			if r.timestamp >= wanted {
				expected = r.offset
				break
			}
		}
		found := offset(client, o, partition, wanted)
		check(found == expected, "%s-%d at time %d: %d, and %d is right", o.topic, partition, wanted, found, expected)
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
