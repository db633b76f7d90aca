// A member of a consumer group over gRPC: consumer HOST:PORT GROUP TOPIC
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	levada "levada/v1"
)

func main() {
	server, group, topic := os.Args[1], os.Args[2], os.Args[3]
	connection, err := grpc.NewClient(server, grpc.WithTransportCredentials(insecure.NewCredentials()))
	check(err)
	stream, err := levada.NewConsumerClient(connection).Subscribe(context.Background())
	check(err)
	say, interrupted := make(chan *levada.SubscribeRequest, 1), make(chan os.Signal, 1)
	say <- &levada.SubscribeRequest{Kind: &levada.SubscribeRequest_Join{Join: &levada.JoinSubscription{GroupId: group,
		Topics: []string{topic}, ClientId: "consumer.go", AutoOffsetReset: levada.OffsetPosition_OFFSET_POSITION_EARLIEST}}}
	go func() { // one goroutine sends; if it cannot, Recv tells why
		for request := range say {
			_ = stream.Send(request)
		}
	}()
	signal.Notify(interrupted, os.Interrupt)
	go func() {
		<-interrupted
		say <- &levada.SubscribeRequest{Kind: &levada.SubscribeRequest_Leave{Leave: &levada.LeaveSubscription{}}}
	}()

	for heard, err := stream.Recv(); err != io.EOF; heard, err = stream.Recv() {
		check(err)
		if batch := heard.GetRecords(); batch != nil {
			for _, record := range batch.Records {
				fmt.Println(batch.Topic, batch.Partition, record.Offset, string(record.Value))
			}
			say <- &levada.SubscribeRequest{Kind: &levada.SubscribeRequest_Processed{Processed: &levada.ProcessedRecords{
				TopicId: batch.TopicId, Partition: batch.Partition, NextOffset: batch.NextOffset}}}
		}
		if revoke := heard.GetRevoke(); revoke != nil {
			done := &levada.RevocationDone{Number: revoke.Number}
			say <- &levada.SubscribeRequest{Kind: &levada.SubscribeRequest_RevocationDone{RevocationDone: done}}
		}
	}
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
