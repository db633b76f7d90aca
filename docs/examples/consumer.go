// A member of a consumer group over gRPC: consumer HOST:PORT GROUP TOPIC
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	levada "levada/v1"
)

func main() {
	connection, err := grpc.NewClient(os.Args[1], grpc.WithTransportCredentials(insecure.NewCredentials()))
	check(err)
	stream, err := levada.NewConsumerClient(connection).Subscribe(context.Background())
	check(err)
	var speaking sync.Mutex
	say := func(request *levada.SubscribeRequest) {
		speaking.Lock()
		defer speaking.Unlock()
		_ = stream.Send(request) // if it cannot, Recv tells why
	}
	say(&levada.SubscribeRequest{Kind: &levada.SubscribeRequest_Join{Join: &levada.JoinSubscription{GroupId: os.Args[2],
		Topics: os.Args[3:], ClientId: "consumer.go", AutoOffsetReset: levada.OffsetPosition_OFFSET_POSITION_EARLIEST}}})
	interrupted, _ := signal.NotifyContext(context.Background(), os.Interrupt)
	context.AfterFunc(interrupted, func() { say(&levada.SubscribeRequest{Kind: &levada.SubscribeRequest_Leave{}}) })

	for heard, err := stream.Recv(); err != io.EOF; heard, err = stream.Recv() {
		check(err)
		if batch := heard.GetRecords(); batch != nil {
			for _, record := range batch.Records {
				fmt.Println(batch.Topic, batch.Partition, record.Offset, string(record.Value))
			}
			say(&levada.SubscribeRequest{Kind: &levada.SubscribeRequest_Processed{Processed: &levada.ProcessedRecords{
				TopicId: batch.TopicId, Partition: batch.Partition, NextOffset: batch.NextOffset}}})
		}
		if revoke := heard.GetRevoke(); revoke != nil {
			done := &levada.RevocationDone{Number: revoke.Number}
			say(&levada.SubscribeRequest{Kind: &levada.SubscribeRequest_RevocationDone{RevocationDone: done}})
		}
	}
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
