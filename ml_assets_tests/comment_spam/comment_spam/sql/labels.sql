SELECT comment_id AS example_id, is_spam AS label, known_at FROM answers
