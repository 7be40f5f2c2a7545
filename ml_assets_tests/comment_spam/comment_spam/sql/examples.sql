SELECT comment_id AS example_id, author, posted_at, text FROM comments
